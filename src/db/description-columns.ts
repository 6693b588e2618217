import type { Description } from '../lib/resource-rules.js';

/** DescriptionRow is the columns that accounts, user profiles and tokens have in common. */
export interface DescriptionRow {
  readonly description: string;
  readonly version: string;
  readonly tags: string[];
  readonly annotations: Record<string, string>;
  readonly manifest_path: string;
}

export function descriptionFromRow(row: DescriptionRow): Description {
  return {
    description: row.description,
    version: row.version,
    tags: row.tags,
    annotations: new Map(Object.entries(row.annotations)),
    manifestPath: row.manifest_path,
  };
}

/** descriptionColumns gives the columns of what is given; Knex leaves out of an update what is undefined. */
export function descriptionColumns(fields: Partial<Description>): Record<string, unknown> {
  const { description, version, tags, annotations, manifestPath } = fields;
  return {
    description,
    version,
    tags,
    annotations: annotations && JSON.stringify(Object.fromEntries(annotations)),
    manifest_path: manifestPath,
  };
}
