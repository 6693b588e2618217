import { isDeepStrictEqual } from 'node:util';
import type { Knex } from 'knex';
import type { Kind } from './report.js';
import { VALUE_VERSION } from './secret-rows.js';
import type { Fields, FieldValue } from './source-rows.js';
import { query } from './target-store.js';
import type { TargetTable } from './target-tables.js';

/** Announcement is what the platform is about to hold of a row. */
export interface Announcement {
  readonly key: string;
  readonly targetId: string;
  readonly fields: Fields;
}

/**
 * announce remembers what is about to be committed on the platform. Whoever is cut off before it is known whether that
 * was done finds out by the row there: see agreedFields.
 */
export async function announce(
  trx: Knex.Transaction,
  kind: Kind,
  announcements: readonly Announcement[],
): Promise<void> {
  if (announcements.length === 0) return;
  const json = JSON.stringify(announcements);
  // What was to be made and was not, or was deleted and is back, has another number now.
  await trx.raw(
    `DELETE FROM import_records i USING json_to_recordset(?::json) AS r (key text, "targetId" bigint)
     WHERE i.kind = ? AND i.target_id = r."targetId" AND i.source_key <> r.key
       AND (i.fields = '{}' OR i.gone_at IS NOT NULL)`,
    [json, kind],
  );
  await trx.raw(
    `INSERT INTO import_records (kind, source_key, target_id, fields, announced)
     SELECT ?, r.key, r."targetId", '{}', r.fields
     FROM json_to_recordset(?::json) AS r (key text, "targetId" bigint, fields jsonb)
     ON CONFLICT (kind, source_key) DO UPDATE SET announced = excluded.announced`,
    [kind, json],
  );
}

/**
 * agreedFields is what both sides last agreed on, where something was announced: field by field what was announced if
 * the platform has it, or else what they agreed on before. A row that was not there before was made as announced.
 */
export function agreedFields(before: Fields, announced: Fields | null, there: Fields): Fields {
  if (announced === null) return before;
  const isThere = (field: string): boolean => isDeepStrictEqual(announced[field], there[field]);
  const did = Object.entries(announced).filter(
    // The platform does not know which version its value is.
    ([field]) => !(field in before) || isThere(field === VALUE_VERSION ? 'value' : field),
  );
  return { ...before, ...Object.fromEntries(did) };
}

/**
 * undoneByUse names the fields that a use on the platform has set back to what they were before an export wrote them. The
 * platform saves whole rows: a request that had read the row before, or between two exports, saves all of it as it was.
 */
export function undoneByUse(
  { use }: Pick<TargetTable, 'use'>,
  changed: ReadonlySet<string>,
  overwritten: readonly Fields[] | null,
  there: Fields,
): string[] {
  const [timeOfUse = ''] = use;
  if (overwritten === null || !changed.has(timeOfUse)) return [];
  const heldOnce = (field: string): FieldValue[] =>
    overwritten.flatMap(({ [field]: value }) => (value === undefined ? [] : [value]));
  const fields = [...changed].filter((field) => field in there && heldOnce(field).length > 0);
  const areAsBefore = fields.every((field) =>
    heldOnce(field).some((value) => isDeepStrictEqual(there[field], value)),
  );
  return areAsBefore ? fields : [];
}

/** How long a row that was deleted on the platform may come back: a request there that has read it saves it once more. */
const REMEMBERED = "interval '1 day'";

/**
 * rememberGone keeps the records of rows that were deleted on both sides for a while, so that one that comes back on the
 * platform is not taken for a new one, but deleted again.
 */
export async function rememberGone(
  trx: Knex.Transaction,
  kind: Kind,
  keys: readonly string[],
): Promise<void> {
  const sql = `UPDATE import_records SET gone_at = statement_timestamp(), announced = NULL
    WHERE kind = ? AND source_key = ANY (?::text[]) AND gone_at IS NULL`;
  await trx.raw(sql, [kind, [...keys]]);
  await trx.raw('DELETE FROM import_conflicts WHERE kind = ? AND source_key = ANY (?::text[])', [
    kind,
    [...keys],
  ]);
}

/** forgetGone forgets rows that have been gone for so long that they do not come back. */
export async function forgetGone(knex: Knex): Promise<void> {
  await query(knex, `DELETE FROM import_records WHERE gone_at < statement_timestamp() - ${REMEMBERED}`);
}
