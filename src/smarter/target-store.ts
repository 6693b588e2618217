import type { Knex } from 'knex';
import type { Kind } from './report.js';
import type { Fields, FieldValue, SourceRow } from './source-rows.js';
import { TARGET_TABLES, type TargetTable } from './target-tables.js';

/** ImportRecord is what the last import read of a source row, and the row it became. */
export interface ImportRecord {
  readonly targetId: string;
  /** Whether Keyward still has the row. */
  readonly present: boolean;
  readonly fields: Fields;
  /** What an export was about to make of the row, if it is not known whether it did. */
  readonly announced: Fields | null;
  /** What exports overwrote in the source a short while ago: a request there may save the row once more as it was. */
  readonly overwritten: readonly Fields[] | null;
}

/** REQUEST is how long a request of the platform lasts at most that has read a row and saves it. */
export const REQUEST = "interval '5 minutes'";

/** Writes of exports whose old values are remembered of a row. */
const MAX_OVERWRITTEN = 16;

/** forgetRecords is for rows that are gone on both sides. Their conflicts are settled by that. */
export async function forgetRecords(
  trx: Knex.Transaction,
  kind: Kind,
  keys: readonly string[],
): Promise<void> {
  for (const table of ['import_records', 'import_conflicts']) {
    await trx.raw(`DELETE FROM ${table} WHERE kind = ? AND source_key = ANY (?::text[])`, [kind, [...keys]]);
  }
}

/** Patch is a change of some columns of one row, in Keyward's own numbers. */
export interface Patch {
  readonly id: string;
  readonly columns: Readonly<Record<string, FieldValue>>;
}

/** query runs one statement and returns its rows. Values are bound as `?`, never written into the text. */
export async function query<Row>(
  knex: Knex,
  sql: string,
  bindings: readonly Knex.RawBinding[] = [],
): Promise<Row[]> {
  const { rows } = await knex.raw<{ rows: Row[] }>(sql, bindings);
  return rows;
}

/** readRecords finds the records of these source rows, by their keys. */
export async function readRecords(
  trx: Knex.Transaction,
  { kind, table, present }: TargetTable,
  keys: readonly string[],
): Promise<Map<string, ImportRecord>> {
  const rows = await query<{
    source_key: string;
    target_id: bigint;
    present: boolean;
    fields: Fields;
    announced: Fields | null;
    overwritten: readonly Fields[] | null;
  }>(
    trx,
    `SELECT r.source_key, r.target_id, t.id IS NOT NULL AS present, r.fields, r.announced,
       CASE WHEN r.exported_at > statement_timestamp() - ${REQUEST} THEN r.overwritten END AS overwritten
     FROM import_records r LEFT JOIN ${table} t ON t.id = r.target_id AND ${present}
     WHERE r.kind = ? AND r.source_key = ANY (?::text[])`,
    [kind, [...keys]],
  );
  return new Map(
    rows.map(({ source_key: key, target_id: targetId, ...record }) => [
      key,
      { ...record, targetId: String(targetId) },
    ]),
  );
}

/** References are Keyward's numbers of source rows that were taken over and are still here. */
export type References = ReadonlyMap<Kind, ReadonlyMap<string, string>>;

/** readReferences looks up every row that these rows refer to. */
export async function readReferences(
  trx: Knex.Transaction,
  table: TargetTable,
  rows: readonly SourceRow[],
): Promise<References> {
  const references = new Map<Kind, Map<string, string>>();
  for (const [column, kind] of Object.entries(table.references)) {
    const keys = [
      ...new Set(rows.map(({ fields }) => fields[column]).filter((key) => typeof key === 'string')),
    ];
    const records = await readRecords(trx, TARGET_TABLES[kind], keys);
    const present = [...records].filter(([, record]) => record.present);
    references.set(kind, new Map(present.map(([key, { targetId }]) => [key, targetId])));
  }
  return references;
}

interface WrittenRecord {
  readonly key: string;
  readonly targetId: string;
  readonly fields: Fields;
  /** Keyward had the row before. */
  readonly merged?: boolean;
  /** What an export overwrote in the source. */
  readonly overwritten?: Fields;
}

/** writeRecords remembers what was read of rows, and what they became. */
export async function writeRecords(
  trx: Knex.Transaction,
  kind: Kind,
  records: readonly WrittenRecord[],
): Promise<void> {
  if (records.length === 0) return;
  await trx.raw(
    `INSERT INTO import_records AS i (kind, source_key, target_id, fields, merged, overwritten, exported_at)
     SELECT ?, r.key, r."targetId", r.fields, coalesce(r.merged, false),
       CASE WHEN r.overwritten IS NOT NULL THEN jsonb_build_array(r.overwritten) END,
       CASE WHEN r.overwritten IS NOT NULL THEN statement_timestamp() END
     FROM json_to_recordset(?::json)
       AS r (key text, "targetId" bigint, fields jsonb, merged boolean, overwritten jsonb)
     ON CONFLICT (kind, source_key) DO UPDATE SET target_id = excluded.target_id, fields = excluded.fields,
       merged = i.merged OR excluded.merged, retired_at = NULL, announced = NULL, gone_at = NULL,
       overwritten = CASE
         WHEN excluded.overwritten IS NOT NULL AND i.exported_at > statement_timestamp() - ${REQUEST}
         THEN jsonb_path_query_array(i.overwritten || excluded.overwritten, '$[last - ${MAX_OVERWRITTEN - 1} to last]')
         ELSE coalesce(excluded.overwritten, i.overwritten) END,
       exported_at = coalesce(excluded.exported_at, i.exported_at)`,
    [kind, JSON.stringify(records)],
  );
}

/**
 * applyPatches updates rows. Patches of the same columns go together; most imports have few such sets.
 * A time of use never goes back.
 */
export async function applyPatches(
  trx: Knex.Transaction,
  table: TargetTable,
  patches: readonly Patch[],
): Promise<void> {
  const bySet = new Map<string, Patch[]>();
  for (const patch of patches) {
    const set = Object.keys(patch.columns).sort().join();
    const group = bySet.get(set);
    if (group) group.push(patch);
    else bySet.set(set, [patch]);
  }
  for (const group of bySet.values()) {
    const names = Object.keys(group[0]?.columns ?? {});
    if (names.length === 0) continue;
    const set = names.map(
      (name) => `${name} = ${TIMES_OF_USE.has(name) ? `GREATEST(t.${name}, r.${name})` : `r.${name}`}`,
    );
    await trx.raw(
      `UPDATE ${table.table} t SET ${set.join()}
       FROM json_to_recordset(?::json) AS r (id bigint, ${typed(table, names)}) WHERE t.id = r.id`,
      [JSON.stringify(group.map(({ id, columns }) => ({ id, ...columns })))],
    );
  }
}

/** park gives rows names that nobody wishes for, until the same transaction gives them others. */
export async function park(
  trx: Knex.Transaction,
  { table }: TargetTable,
  column: string,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  await trx.raw(`UPDATE ${table} SET ${column} = gen_random_uuid()::text WHERE id = ANY (?::bigint[])`, [
    [...ids],
  ]);
}

const TIMES_OF_USE = new Set(['last_used_at', 'last_accessed_at']);

/** typed lists columns with their types, as json_to_recordset wants them. */
export function typed(table: TargetTable, names: readonly string[]): string {
  return names.map((name) => `${name} ${table.columns[name] ?? 'text'}`).join(', ');
}
