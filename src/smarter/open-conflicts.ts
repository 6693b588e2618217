import type { Knex } from 'knex';
import { listPage, type ListColumns } from '../db/list-query.js';
import type { Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import { codePoints } from '../lib/text.js';
import { ROW, type Side } from './conflicts.js';
import type { Kind } from './report.js';

/** OpenConflict is a conflict that nobody has settled. */
export interface OpenConflict {
  readonly id: bigint;
  readonly kind: Kind;
  /** The key of the row in the source. */
  readonly key: string;
  /** The column, `value` for that of a secret, or `row` where the source has the row no longer. */
  readonly field: string;
  /** Whose value is in Keyward now. */
  readonly kept: Side;
  /** The values on either side, as JSON that may be cut short; empty for values of secrets and for rows. */
  readonly keywardValue: string;
  readonly sourceValue: string;
  readonly foundAt: Instant;
}

interface ConflictRow {
  readonly id: bigint;
  readonly kind: Kind;
  readonly source_key: string;
  readonly field: string;
  readonly kept: Side;
  readonly here: string | null;
  readonly there: string | null;
  readonly found_at: Instant;
}

const MAX_VALUE = 200;

/** CONFLICT_COLUMNS are the fields by which conflicts are filtered and ordered. */
export const CONFLICT_COLUMNS: ListColumns = {
  filter: {
    id: { type: 'integer', sql: 'c.id' },
    kind: { type: 'text', sql: 'c.kind' },
    key: { type: 'text', sql: 'c.source_key' },
    field: { type: 'text', sql: 'c.field' },
    kept: { type: 'text', sql: 'c.kept' },
    found_at: { type: 'time', sql: 'c.found_at' },
  },
  order: {
    id: { type: 'integer', sql: 'c.id' },
    found_at: { type: 'time', sql: 'c.found_at' },
  },
};

/** listConflicts lists conflicts in the order of their numbers, those after `after`. */
export async function listConflicts(knex: Knex, after: bigint, most: number): Promise<OpenConflict[]> {
  const rows: unknown = await openConflicts(knex)
    .where('c.id', '>', String(after))
    .orderBy('c.id')
    .limit(most);
  return (rows as ConflictRow[]).map(conflictFromRow);
}

/** pageOfConflicts is one page of them. */
export function pageOfConflicts(knex: Knex, page: PageQuery): Promise<Page<OpenConflict>> {
  return listPage(knex, openConflicts(knex), CONFLICT_COLUMNS, page, conflictFromRow);
}

function openConflicts(knex: Knex): Knex.QueryBuilder {
  return knex('import_conflicts as c')
    .select('c.id', 'c.kind', 'c.source_key', 'c.field', 'c.kept', 'c.found_at')
    .select(knex.raw(`left(c.keyward_value::text, ${MAX_VALUE + 1}) AS here`))
    .select(knex.raw(`left(c.source_value::text, ${MAX_VALUE + 1}) AS there`))
    .whereNull('c.decision');
}

function conflictFromRow({ id, kind, field, kept, ...row }: ConflictRow): OpenConflict {
  const hasValues = field !== ROW && field !== 'value' && field !== 'annotations';
  const [keywardValue, sourceValue] = hasValues ? [clipped(row.here), clipped(row.there)] : ['', ''];
  return { id, kind, key: row.source_key, field, kept, keywardValue, sourceValue, foundAt: row.found_at };
}

function clipped(json: string | null): string {
  if (json === null) return 'null';
  return codePoints(json) > MAX_VALUE ? `${Array.from(json).slice(0, MAX_VALUE).join('')}…` : json;
}
