import { isDeepStrictEqual } from 'node:util';
import type { Knex } from 'knex';
import { agreedFields, undoneByUse } from './announcements.js';
import type { BatchReport } from './report.js';
import { VALUE_VERSION } from './secret-rows.js';
import { textField, type FieldValue, type Fields, type SourceRow } from './source-rows.js';
import type { TargetTable } from './target-tables.js';
import {
  applyPatches,
  readRecords,
  readReferences,
  writeRecords,
  type ImportRecord,
  type References,
} from './target-store.js';

type Columns = Readonly<Record<string, FieldValue>>;

/** Fresh is a row that no import has taken over yet. */
export interface Fresh<Row extends SourceRow = SourceRow> {
  readonly row: Row;
  /** All of its columns, in Keyward's own numbers. */
  readonly columns: Columns;
}

/** ChangedRow is a row that is not as the last import read it. */
export interface ChangedRow<Row extends SourceRow = SourceRow> extends Fresh<Row> {
  readonly targetId: string;
  readonly before: Fields;
  /** The fields that differ, without those that keep Keyward's value. */
  readonly changed: Set<string>;
  /** Fields that were changed on both sides and keep Keyward's value. */
  readonly kept: Set<string>;
  /** What is written instead of the source's values. */
  readonly replaced: Map<string, FieldValue>;
  /** Changed fields that cannot be taken now; the next import tries again. */
  readonly refused: Set<string>;
  /** What the record of the import holds besides the source's fields. */
  readonly remembered: Map<string, FieldValue>;
}

/**
 * sortBatch tells fresh rows and changed rows apart from those that need nothing, and reports the latter: rows
 * that are as the last import read them, that cannot be taken, or that were deleted in Keyward since.
 *
 * @param revalued keys of rows whose field `value` changed, although the records cannot tell
 */
export async function sortBatch<Row extends SourceRow>(
  trx: Knex.Transaction,
  table: TargetTable,
  rows: readonly Row[],
  report: BatchReport,
  revalued: ReadonlySet<string> = new Set(),
): Promise<{ fresh: Fresh<Row>[]; changes: ChangedRow<Row>[]; unchanged: Row[] }> {
  const records = await readAgreed(trx, table, rows);
  const references = await readReferences(trx, table, rows);
  const fresh: Fresh<Row>[] = [];
  const changes: ChangedRow<Row>[] = [];
  const unchanged: Row[] = [];
  for (const row of rows) {
    const record = records.get(row.key);
    const columns = columnsOf(table, row, references);
    if (row.leftOut !== undefined) {
      leaveOut(table, row, 'unusable', row.leftOut, report);
    } else if (record?.present === false) {
      leaveOut(table, row, 'deleted', 'deleted in Keyward since it was imported', report);
    } else if (columns === undefined) {
      const parents = [...new Set(Object.values(table.references))].join(' or ').replaceAll('_', ' ');
      leaveOut(table, row, 'without-owner', `its ${parents} was left out, or deleted in Keyward`, report);
    } else if (record === undefined) {
      fresh.push({ row, columns });
    } else {
      const { targetId, fields: before } = record;
      const changed = changedFields(before, row.fields);
      if (revalued.has(row.key)) changed.add('value');
      if (changed.size > 0) {
        const undone = undoneByUse(table, changed, record.overwritten, row.fields);
        const remembered = new Map<string, FieldValue>();
        for (const field of undone) changed.delete(field);
        if (undone.length > 0) {
          const what = `${undone.join(', ')}: a use in the source set it back to what it was before an export`;
          report.note(
            table.kind,
            row.label,
            'undone',
            `${what}: Keyward keeps its own, which the next export writes`,
          );
          // Of a value it is not known any more that the source has it.
          if (undone.includes('value')) remembered.set(VALUE_VERSION, '0');
        }
        const written = { replaced: new Map(), refused: new Set<string>(), remembered };
        changes.push({ row, columns, targetId, before, changed, kept: new Set(undone), ...written });
      } else {
        unchanged.push(row);
        report.unchanged(row.key);
      }
    }
  }
  return { fresh, changes, unchanged };
}

/** readAgreed finds the records of rows, and what has become of what exports had announced before they were cut off. */
async function readAgreed(
  trx: Knex.Transaction,
  table: TargetTable,
  rows: readonly SourceRow[],
): Promise<ReadonlyMap<string, ImportRecord>> {
  const records = await readRecords(
    trx,
    table,
    rows.map(({ key }) => key),
  );
  const found = rows.flatMap(({ key, fields }) => {
    const record = records.get(key);
    if (record === undefined || record.announced === null) return [];
    const agreed = agreedFields(record.fields, record.announced, fields);
    records.set(key, { ...record, fields: agreed, announced: null });
    return [{ key, targetId: record.targetId, fields: agreed }];
  });
  await writeRecords(trx, table.kind, found);
  return records;
}

/** leaveOut reports a row that is not taken. */
export function leaveOut(
  table: TargetTable,
  row: SourceRow,
  sort: string,
  why: string,
  report: BatchReport,
): void {
  report.outcomes.push('leftOut');
  report.note(table.kind, row.label, sort, `left out: ${why}`);
}

/** noteFindings reports what was found in a row that is being taken. */
export function noteFindings(table: TargetTable, row: SourceRow, report: BatchReport): void {
  for (const { sort, what } of row.findings) report.note(table.kind, row.label, sort, what);
}

/** applyChanges writes the fields that the source changed, and no others: changes made in Keyward stand. */
export async function applyChanges(
  trx: Knex.Transaction,
  table: TargetTable,
  changes: readonly ChangedRow[],
  report: BatchReport,
): Promise<void> {
  const patches = changes.map((change) => ({ id: change.targetId, columns: patchOf(table, change) }));
  await applyPatches(trx, table, patches);
  await writeRecords(
    trx,
    table.kind,
    changes
      .filter((change) => takenFields(change).length > 0 || change.kept.size > 0)
      .map(({ row, targetId, before, refused, remembered }) => ({
        key: row.key,
        targetId,
        fields: { ...before, ...row.fields, ...pick(before, refused), ...Object.fromEntries(remembered) },
      })),
  );
  for (const change of changes) {
    const { row } = change;
    const told = takenFields(change);
    if (told.every((field) => table.use.includes(field))) {
      report.unchanged(row.key);
      continue;
    }
    report.outcomes.push('updated');
    report.note(table.kind, row.label, 'updated', `updated: ${told.join(', ')}`);
    noteFindings(table, row, report);
  }
}

function patchOf(table: TargetTable, change: ChangedRow): Columns {
  const taken = takenFields(change);
  const onlyUse = taken.every((field) => table.use.includes(field));
  const names = taken.filter((field) => field in table.columns && !(onlyUse && field === 'updated_at'));
  return { ...pick(change.columns, names), ...Object.fromEntries(change.replaced) };
}

function takenFields({ changed, refused }: ChangedRow): string[] {
  return [...changed].filter((field) => !refused.has(field));
}

function pick(columns: Columns, names: Iterable<string>): Columns {
  return Object.fromEntries([...names].map((name) => [name, columns[name] ?? null]));
}

function changedFields(before: Fields, now: Fields): Set<string> {
  if (isDeepStrictEqual(before, now)) return new Set();
  return new Set(Object.keys(now).filter((field) => !isDeepStrictEqual(before[field], now[field])));
}

/** columnsOf translates the source's numbers; undefined where one has no counterpart. */
function columnsOf(table: TargetTable, { fields }: SourceRow, references: References): Columns | undefined {
  const columns: Record<string, FieldValue> = { ...fields };
  for (const [column, kind] of Object.entries(table.references)) {
    const targetId = references.get(kind)?.get(textField(fields, column));
    if (targetId === undefined) return undefined;
    columns[column] = targetId;
  }
  return columns;
}
