import type { Knex } from 'knex';
import { applyChanges, leaveOut, noteFindings, sortBatch, type ChangedRow, type Fresh } from './batch.js';
import { insertNumbered, isFree, noteNumber, takenNumbers, type Numbered, type Wanting } from './numbers.js';
import type { Promotions } from './promotions.js';
import type { BatchReport, Kind, Outcome } from './report.js';
import { textField, type SourceRow } from './source-rows.js';
import type { TargetTable } from './target-tables.js';
import { applyPatches, forgetRecords, park, query, typed, writeRecords } from './target-store.js';
import type { Tools } from './tools.js';

/** Counterpart is a row of Keyward with the natural key of a source row. */
interface Counterpart {
  readonly id: string;
  /** Whether it already stands for a row that the source has. */
  readonly imported: boolean;
  /** The key of a row that the source no longer has, for which it stood. */
  readonly retiredKey: string | null;
}

/**
 * importOwners takes one batch of accounts, users or user profiles. They keep their numbers, since public ids are
 * made from them; where that cannot be, the report says so.
 */
export async function importOwners(
  trx: Knex.Transaction,
  table: TargetTable,
  tools: Tools,
  rows: readonly SourceRow[],
  report: BatchReport,
): Promise<void> {
  const { promotions } = tools;
  const { fresh, changes } = await sortBatch(trx, table, rows, report);
  await tools.conflicts.settle(trx, table, changes, report);
  await takeKeys(trx, table, changes, report);
  await promotions.changeUsers(trx, await usersRaisedBy(trx, table, changes), report, () =>
    applyChanges(trx, table, changes, report),
  );
  await placeFresh(trx, table, fresh, promotions, report);
}

/** takeKeys gives changed rows their new natural keys, but leaves a key alone that a row has which keeps it. */
export async function takeKeys(
  trx: Knex.Transaction,
  table: TargetTable,
  changes: readonly ChangedRow[],
  report: BatchReport,
): Promise<void> {
  const rekeyed = changes.filter(({ changed }) => table.naturalKey.some((column) => changed.has(column)));
  const counterparts = await findCounterparts(trx, table, rekeyed);
  const leaving = new Map(rekeyed.map((change) => [change.targetId, change]));
  for (let before = -1; before !== leaving.size;) {
    before = leaving.size;
    const wanted = new Set<string>();
    for (const change of [...leaving.values()]) {
      const key = naturalKey(table, change);
      const holder = counterparts.get(key)?.id;
      const isTaken = holder !== undefined && holder !== change.targetId && !leaving.has(holder);
      if (isTaken || wanted.has(key)) leaving.delete(change.targetId);
      else wanted.add(key);
    }
  }
  for (const change of rekeyed.filter(({ targetId }) => !leaving.has(targetId))) {
    const columns = table.naturalKey.filter((column) => change.changed.has(column));
    for (const column of columns) change.refused.add(column);
    const what = `not updated: ${columns.join(', ')} (another row of Keyward has that already)`;
    report.note(table.kind, change.row.label, 'key-taken', what);
  }
  const [column, ...others] = table.naturalKey;
  if (column === undefined || others.length > 0) return;
  const holders = [...leaving.values()].flatMap(
    (change) => counterparts.get(naturalKey(table, change))?.id ?? [],
  );
  await park(
    trx,
    table,
    column,
    holders.filter((id) => leaving.has(id)),
  );
}

async function placeFresh(
  trx: Knex.Transaction,
  table: TargetTable,
  fresh: readonly Fresh[],
  promotions: Promotions,
  report: BatchReport,
): Promise<void> {
  if (fresh.length === 0) return;
  const counterparts = await findCounterparts(trx, table, fresh);
  const taken = await takenNumbers(
    trx,
    table,
    fresh.map(({ row }) => row.key),
  );
  const inserts: Wanting[] = [];
  const merges: Numbered[] = [];
  const retiredKeys: string[] = [];
  const renumbered: { id: string; to: string }[] = [];
  const keys = new Set<string>();

  for (const { row, columns } of fresh) {
    const key = naturalKey(table, { columns });
    const counterpart = counterparts.get(key);
    if (counterpart?.imported === true || keys.has(key)) {
      const what = `its ${table.naturalKey.join(' and ')} belongs to another imported row`;
      leaveOut(table, row, 'key-taken', what, report);
      continue;
    }
    keys.add(key);
    if (typeof counterpart?.retiredKey === 'string') retiredKeys.push(counterpart.retiredKey);
    const keepsNumber = isFree(row.key, taken);
    if (counterpart === undefined) {
      if (keepsNumber) taken.add(row.key);
      else noteNumber(table, row, 'it has a new one and so another public id', report);
      inserts.push({ row, columns, id: keepsNumber ? row.key : undefined });
    } else if (counterpart.id === row.key) {
      merges.push({ row, columns, id: row.key });
    } else if (keepsNumber) {
      taken.add(row.key);
      renumbered.push({ id: counterpart.id, to: row.key });
      merges.push({ row, columns, id: row.key });
      const what = `number ${counterpart.id} of Keyward became ${row.key}, as in the source`;
      report.note(table.kind, row.label, 'renumbered', what);
    } else {
      merges.push({ row, columns, id: counterpart.id });
      noteNumber(table, row, `it keeps number ${counterpart.id} and its public id`, report);
    }
  }

  await forgetRecords(trx, table.kind, retiredKeys);
  await renumber(trx, table, renumbered);
  const raised: Partial<Record<Kind, string[]>> = {
    user: merges.map(({ id }) => id),
    user_profile: inserts.map(userOf),
  };
  await promotions.changeUsers(trx, raised[table.kind] ?? [], report, async () => {
    await applyPatches(
      trx,
      table,
      merges.map(({ id, columns }) => ({ id, columns })),
    );
    await remember(trx, table, merges, 'merged', report);
    await remember(trx, table, await insertNumbered(trx, table, inserts), 'created', report);
  });
}

/** usersRaisedBy are the users to whom these changes may give rights: they, or their profiles, have other ranks or owners. */
async function usersRaisedBy(
  trx: Knex.Transaction,
  { kind }: TargetTable,
  changes: readonly ChangedRow[],
): Promise<string[]> {
  const having = (...columns: string[]): ChangedRow[] =>
    changes.filter(({ changed }) => columns.some((column) => changed.has(column)));
  if (kind === 'user') return having('is_staff', 'is_superuser').map(({ targetId }) => targetId);
  if (kind !== 'user_profile') return [];
  const moved = having('user_id', 'account_id');
  if (moved.length === 0) return [];
  const sql = 'SELECT DISTINCT user_id::text AS id FROM user_profiles WHERE id = ANY (?::bigint[])';
  const present = await query<{ id: string }>(trx, sql, [moved.map(({ targetId }) => targetId)]);
  return [...moved.map(userOf), ...present.map(({ id }) => id)];
}

function userOf({ columns }: Pick<Fresh, 'columns'>): string {
  return textField(columns, 'user_id');
}

async function remember(
  trx: Knex.Transaction,
  table: TargetTable,
  rows: readonly Numbered[],
  outcome: Outcome,
  report: BatchReport,
): Promise<void> {
  const merged = outcome === 'merged';
  const records = rows.map(({ row, id }) => ({ key: row.key, targetId: id, fields: row.fields, merged }));
  await writeRecords(trx, table.kind, records);
  for (const { row } of rows) {
    report.outcomes.push(outcome);
    if (outcome === 'merged') {
      report.note(
        table.kind,
        row.label,
        'merged',
        'merged with the one in Keyward: the source decides every field',
      );
    }
    noteFindings(table, row, report);
  }
}

function naturalKey(table: TargetTable, { columns }: Pick<Fresh, 'columns'>): string {
  return JSON.stringify(table.naturalKey.map((column) => textField(columns, column)));
}

/** findCounterparts finds rows by their natural keys. */
async function findCounterparts(
  trx: Knex.Transaction,
  table: TargetTable,
  rows: readonly Fresh[],
): Promise<Map<string, Counterpart>> {
  if (rows.length === 0) return new Map();
  const found = await query<Counterpart & { columns: Record<string, string> }>(
    trx,
    `SELECT t.id::text AS id,
       json_build_object(${table.naturalKey.map((column) => `'${column}', t.${column}::text`).join()}) AS columns,
       i.source_key IS NOT NULL AND i.retired_at IS NULL AS imported,
       CASE WHEN i.retired_at IS NOT NULL THEN i.source_key END AS "retiredKey"
     FROM json_to_recordset(?::json) AS r (${typed(table, table.naturalKey)})
     JOIN ${table.table} t USING (${table.naturalKey.join()})
     LEFT JOIN import_records i ON i.kind = ? AND i.target_id = t.id`,
    [JSON.stringify(rows.map(({ columns }) => columns)), table.kind],
  );
  return new Map(found.map(({ columns, ...counterpart }) => [naturalKey(table, { columns }), counterpart]));
}

/**
 * renumber changes primary keys; whatever refers to them follows by its foreign key. Whom a plaintext was given to is
 * kept without one, since that user may be deleted.
 */
async function renumber(
  trx: Knex.Transaction,
  table: TargetTable,
  moves: readonly { readonly id: string; readonly to: string }[],
): Promise<void> {
  if (moves.length === 0) return;
  await trx.raw(
    `UPDATE ${table.table} t SET id = r."to"
     FROM json_to_recordset(?::json) AS r (id bigint, "to" bigint) WHERE t.id = r.id`,
    [JSON.stringify(moves)],
  );
  if (table.kind !== 'user') return;
  await trx.raw(
    `UPDATE token_digests d SET issued_by_user_id = r."to"
     FROM json_to_recordset(?::json) AS r (id bigint, "to" bigint) WHERE d.issued_by_user_id = r.id`,
    [JSON.stringify(moves)],
  );
}
