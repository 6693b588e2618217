import { codePoints } from '../lib/text.js';
import type { TargetTable } from './target-tables.js';
import { typed } from './target-store.js';

/** MAX_NAME is the most characters that names of tokens and secrets have. */
export const MAX_NAME = 255;

/** Columns that say when something happened, or follow from others: nobody's decision. */
const FOLLOWING = new Set([
  ...['key_id', 'name_key', 'created_at', 'updated_at'],
  ...['last_used_at', 'last_accessed_at'],
]);

/** comparedColumns are the columns that somebody may have changed in Keyward. */
export function comparedColumns(table: TargetTable): string[] {
  return Object.keys(table.columns).filter((column) => !FOLLOWING.has(column));
}

/** recordOf is SQL that reads the compared columns of what a record holds, `fields`, as the row `alias`. */
export function recordOf(table: TargetTable, fields: string, alias: string): string {
  return `jsonb_to_record(${fields}) AS ${alias} (${typed(table, comparedColumns(table))})`;
}

/** differing is SQL of the names of those columns of a row `t` that are not as in `alias`, whose numbers are the source's. */
export function differing(table: TargetTable, alias: string): string {
  const cases = comparedColumns(table).map(
    (column) =>
      `CASE WHEN t.${column} IS DISTINCT FROM ${valueIn(table, alias, column)} THEN '${column}' END`,
  );
  return `array_remove(ARRAY[${cases.join()}], NULL)`;
}

function valueIn(table: TargetTable, alias: string, column: string): string {
  const kind = table.references[column];
  if (kind === undefined) return `${alias}.${column}`;
  return `(SELECT x.target_id FROM import_records x
    WHERE x.kind = '${kind}' AND x.source_key = ${alias}.${column}::text)`;
}

/** presentValues is SQL of the compared columns of a row `t`, as JSON. */
export function presentValues(table: TargetTable): string {
  return `jsonb_build_object(${comparedColumns(table)
    .map((column) => `'${column}', t.${column}`)
    .join()})`;
}

/** isNumbered tells whether an import made a name of another that was taken. */
export function isNumbered(name: unknown, of: unknown): boolean {
  const stem = typeof name === 'string' ? /^(.*)-\d+$/s.exec(name)?.[1] : undefined;
  if (typeof of !== 'string' || stem === undefined) return false;
  return of === stem || (codePoints(String(name)) === MAX_NAME && of.startsWith(stem));
}
