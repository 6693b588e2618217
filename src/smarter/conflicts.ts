import type { Knex } from 'knex';
import type { ChangedRow } from './batch.js';
import { comparedColumns, differing, isNumbered, presentValues, recordOf } from './comparison.js';
import type { BatchReport, Kind } from './report.js';
import type { FieldValue } from './source-rows.js';
import { query } from './target-store.js';
import type { TargetTable } from './target-tables.js';

/** Side is where a value comes from. */
export type Side = 'keyward' | 'source';

/** Preference tells whose value stays where both sides changed it: `safer` is the one that lets in less, or else the source's. */
export type Preference = Side | 'safer';

/** The field of a conflict about a row that the source no longer has, and that was changed in Keyward. */
export const ROW = 'row';

/** Conflict is a field that both sides changed. */
export interface Conflict {
  readonly key: string;
  readonly field: string;
  readonly kept: Side;
  /** The field on either side when it was found; null for values of secrets. */
  readonly keywardValue: unknown;
  readonly sourceValue: unknown;
}

/** Both is a row that changed in the source, as Keyward has it. */
interface Both {
  readonly id: string;
  /** Columns that are not as the last import read them. */
  readonly changedHere: readonly string[];
  /** Columns that are not as the source has them now. */
  readonly differing: readonly string[];
  readonly present: Readonly<Record<string, FieldValue>>;
}

/** Conflicts decides about fields that were changed on both sides, and keeps a list of them until somebody settles them. */
export class Conflicts {
  readonly prefer: Preference;

  constructor(prefer: Preference) {
    this.prefer = prefer;
  }

  /** settle moves fields that keep Keyward's value from `changed` to `kept`. The rows are locked from then on. */
  async settle(
    trx: Knex.Transaction,
    table: TargetTable,
    changes: readonly ChangedRow[],
    report: BatchReport,
  ): Promise<void> {
    const columns = comparedColumns(table);
    const touched = changes.filter(({ changed }) => columns.some((column) => changed.has(column)));
    if (touched.length === 0) return;
    const rows = new Map((await readBoth(trx, table, touched)).map((row) => [row.id, row]));
    const conflicts: Conflict[] = [];
    for (const change of touched) {
      const row = rows.get(change.targetId);
      if (row === undefined) continue;
      for (const field of fieldsInConflict(change, row)) {
        const [keywardValue, sourceValue] = [row.present[field] ?? null, change.columns[field] ?? null];
        const kept = this.#keptOf(field, keywardValue, sourceValue);
        if (kept === 'keyward') {
          change.changed.delete(field);
          change.kept.add(field);
        }
        const { key, label } = change.row;
        conflicts.push({ key, field, kept, keywardValue, sourceValue });
        noteConflict(table.kind, label, field, kept, report);
      }
    }
    await writeConflicts(trx, table.kind, conflicts);
  }

  #keptOf(field: string, here: FieldValue, there: FieldValue): Side {
    if (this.prefer !== 'safer') return this.prefer;
    const isSafer = field === 'expires_at' && here !== null && (there === null || isEarlier(here, there));
    return isSafer ? 'keyward' : 'source';
  }
}

/** fieldsInConflict were changed on both sides, and not to the same. */
function fieldsInConflict({ changed, before }: ChangedRow, row: Both): string[] {
  return row.changedHere.filter((field) => {
    if (!changed.has(field) || !row.differing.includes(field)) return false;
    return field !== 'name' || !isNumbered(row.present['name'], before['name']);
  });
}

/** isEarlier compares times, which JSON of the database and records write differently. */
function isEarlier(time: FieldValue, than: FieldValue): boolean {
  return typeof time === 'string' && typeof than === 'string' && Date.parse(time) < Date.parse(than);
}

export function noteConflict(
  kind: Kind,
  label: string,
  field: string,
  kept: Side,
  report: Pick<BatchReport, 'note'>,
): void {
  const whose = kept === 'keyward' ? 'Keyward keeps its own' : "the source's is taken";
  report.note(kind, label, 'conflict', `conflict: ${field} was changed on both sides: ${whose}`);
}

/** writeConflicts lists conflicts. One that was listed already is as it is now. */
export async function writeConflicts(
  trx: Knex.Transaction,
  kind: Kind,
  conflicts: readonly Conflict[],
): Promise<void> {
  if (conflicts.length === 0) return;
  await trx.raw(
    `INSERT INTO import_conflicts (kind, source_key, field, kept, keyward_value, source_value)
     SELECT ?, r.key, r.field, r.kept, r."keywardValue", r."sourceValue"
     FROM json_to_recordset(?::json) AS r
       (key text, field text, kept text, "keywardValue" jsonb, "sourceValue" jsonb)
     ON CONFLICT (kind, source_key, field) DO UPDATE SET kept = excluded.kept, decision = NULL,
       keyward_value = excluded.keyward_value, source_value = excluded.source_value, found_at = excluded.found_at`,
    [kind, JSON.stringify(conflicts)],
  );
}

/** decisionsOf are those that somebody has made about conflicts, for the next import to carry out, by the key of the row. */
export async function decisionsOf(
  trx: Knex.Transaction,
  kind: Kind,
  field: string,
  keys: readonly string[],
): Promise<ReadonlyMap<string, Side>> {
  const rows = await query<{ key: string; decision: Side }>(
    trx,
    `SELECT source_key AS key, decision FROM import_conflicts
     WHERE kind = ? AND field = ? AND source_key = ANY (?::text[]) AND decision IS NOT NULL`,
    [kind, field, [...keys]],
  );
  return new Map(rows.map(({ key, decision }) => [key, decision]));
}

/** forgetConflicts is for conflicts that are settled. */
export async function forgetConflicts(
  trx: Knex.Transaction,
  kind: Kind,
  field: string,
  keys: readonly string[],
): Promise<void> {
  if (keys.length === 0) return;
  const sql = 'DELETE FROM import_conflicts WHERE kind = ? AND field = ? AND source_key = ANY (?::text[])';
  await trx.raw(sql, [kind, field, [...keys]]);
}

/** countConflicts counts those that nobody has settled. */
export async function countConflicts(knex: Knex): Promise<number> {
  const sql = 'SELECT count(*)::integer AS count FROM import_conflicts WHERE decision IS NULL';
  const [row] = await query<{ count: number }>(knex, sql);
  return row?.count ?? 0;
}

async function readBoth(
  trx: Knex.Transaction,
  table: TargetTable,
  changes: readonly ChangedRow[],
): Promise<Both[]> {
  const rows = changes.map(({ targetId: id, before, row }) => ({ id, before, now: row.fields }));
  return query<Both>(
    trx,
    `SELECT t.id::text AS id, ${differing(table, 'f')} AS "changedHere", ${differing(table, 'n')} AS differing,
       ${presentValues(table)} AS present
     FROM json_to_recordset(?::json) AS r (id bigint, before jsonb, now jsonb)
     JOIN ${table.table} t ON t.id = r.id
     CROSS JOIN LATERAL ${recordOf(table, 'r.before', 'f')}
     CROSS JOIN LATERAL ${recordOf(table, 'r.now', 'n')}
     ORDER BY t.id FOR UPDATE OF t`,
    [JSON.stringify(rows)],
  );
}
