import type { Knex } from 'knex';
import type { Fresh } from './batch.js';
import type { BatchReport } from './report.js';
import type { SourceRow } from './source-rows.js';
import { query, typed } from './target-store.js';
import type { TargetTable } from './target-tables.js';

/** The first number that Keyward gives itself, as in the schema. */
const OWN_NUMBERS = 100_000_001n;

/** Wanting is a fresh row with the number it gets, or undefined for a new one. */
export interface Wanting<Row extends SourceRow = SourceRow> extends Fresh<Row> {
  readonly id: string | undefined;
}

/** Numbered is a fresh row with its number in Keyward. */
export interface Numbered<Row extends SourceRow = SourceRow> extends Fresh<Row> {
  readonly id: string;
}

/**
 * takenNumbers tells which of these numbers rows of Keyward have, or may have had: what was told or recorded of a row
 * that is deleted must not become true of another.
 */
export async function takenNumbers(
  trx: Knex.Transaction,
  table: TargetTable,
  ids: readonly string[],
): Promise<Set<string>> {
  const sql = `
    SELECT id::text AS id FROM unnest(?::bigint[]) AS wanted (id), ${table.table}_id_seq given
    WHERE (given.is_called AND id BETWEEN ${OWN_NUMBERS} AND given.last_value)
      OR EXISTS (SELECT FROM ${table.table} t WHERE t.id = wanted.id)`;
  return new Set((await query<{ id: string }>(trx, sql, [[...ids]])).map(({ id }) => id));
}

/** isFree tells whether a row can keep its number. */
export function isFree(id: string, taken: ReadonlySet<string>): boolean {
  return BigInt(id) > 0n && !taken.has(id);
}

/** noteNumber reports a row that cannot keep its number. */
export function noteNumber(table: TargetTable, row: SourceRow, what: string, report: BatchReport): void {
  report.note(table.kind, row.label, 'number-taken', `number ${row.key} is taken in Keyward: ${what}`);
}

/** insertNumbered writes rows that keep their numbers first, so that no new number is one of theirs. */
export async function insertNumbered<Row extends SourceRow>(
  trx: Knex.Transaction,
  table: TargetTable,
  rows: readonly Wanting<Row>[],
): Promise<Numbered<Row>[]> {
  const kept = rows.flatMap(({ row, columns, id }) => (id === undefined ? [] : [{ row, columns, id }]));
  await insertRows(trx, table, kept);
  if (kept.some(({ id }) => BigInt(id) >= OWN_NUMBERS)) {
    // Forward only: the newest rows may have been deleted, and their numbers must not come again.
    await trx.raw(
      `SELECT setval('${table.table}_id_seq', greatest(last_value, (SELECT max(id) FROM ${table.table})))
       FROM ${table.table}_id_seq`,
    );
  }
  const moved: Numbered<Row>[] = [];
  for (const { row, columns } of rows.filter(({ id }) => id === undefined)) {
    const [next] = await query<{ id: string }>(trx, `SELECT nextval('${table.table}_id_seq')::text AS id`);
    if (next) moved.push({ row, columns, id: next.id });
  }
  await insertRows(trx, table, moved);
  return [...kept, ...moved];
}

async function insertRows(
  trx: Knex.Transaction,
  table: TargetTable,
  rows: readonly Numbered[],
): Promise<void> {
  if (rows.length === 0) return;
  const names = Object.keys(table.columns);
  await trx.raw(
    `INSERT INTO ${table.table} (id, ${names.join()})
     SELECT id, ${names.join()} FROM json_to_recordset(?::json) AS r (id bigint, ${typed(table, names)})`,
    [JSON.stringify(rows.map(({ id, columns }) => ({ id, ...columns })))],
  );
}
