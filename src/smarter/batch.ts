import { isDeepStrictEqual } from 'node:util';
import type { Knex } from 'knex';
import type { BatchReport } from './report.js';
import { textField, type FieldValue, type Fields, type SourceRow } from './source-rows.js';
import type { TargetTable } from './target-tables.js';
import { applyPatches, readRecords, readReferences, writeRecords, type References } from './target-store.js';

type Columns = Readonly<Record<string, FieldValue>>;

/** Fresh is a row that no import has taken over yet. */
export interface Fresh {
  readonly row: SourceRow;
  /** All of its columns, in Keyward's own numbers. */
  readonly columns: Columns;
}

/** Change is a row that is not as the last import read it. */
export interface Change extends Fresh {
  readonly targetId: string;
  readonly before: Fields;
  /** The fields that differ. */
  readonly changed: ReadonlySet<string>;
  /** What is written instead of the source's values. */
  readonly replaced: Map<string, FieldValue>;
  /** Changed fields that cannot be taken now; the next import tries again. */
  readonly refused: Set<string>;
}

/** Not changes worth telling: Smarter writes both at every use of a token. */
const USE = new Set(['last_used_at', 'updated_at']);

/**
 * sortBatch tells fresh rows and changed rows apart from those that need nothing, and reports the latter: rows
 * that are as the last import read them, that cannot be taken, or that were deleted in Keyward since.
 */
export async function sortBatch(
  trx: Knex.Transaction,
  table: TargetTable,
  rows: readonly SourceRow[],
  report: BatchReport,
): Promise<{ fresh: Fresh[]; changes: Change[] }> {
  const records = await readRecords(
    trx,
    table,
    rows.map(({ key }) => key),
  );
  const references = await readReferences(trx, table, rows);
  const fresh: Fresh[] = [];
  const changes: Change[] = [];
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
      if (changed.size === 0) report.outcomes.push('unchanged');
      else changes.push({ row, columns, targetId, before, changed, replaced: new Map(), refused: new Set() });
    }
  }
  return { fresh, changes };
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
  changes: readonly Change[],
  report: BatchReport,
): Promise<void> {
  const patches = changes.map((change) => ({ id: change.targetId, columns: patchOf(table, change) }));
  await applyPatches(trx, table, patches);
  await writeRecords(
    trx,
    table.kind,
    changes
      .filter(({ changed, refused }) => changed.size > refused.size)
      .map(({ row, targetId, before, refused }) => ({
        key: row.key,
        targetId,
        fields: { ...row.fields, ...pick(before, refused) },
      })),
  );
  for (const { row, changed, refused } of changes) {
    const told = [...changed].filter((field) => !refused.has(field));
    if (told.length === 0 || (table.kind === 'token' && told.every((field) => USE.has(field)))) {
      report.outcomes.push('unchanged');
      continue;
    }
    report.outcomes.push('updated');
    report.note(table.kind, row.label, 'updated', `updated: ${told.join(', ')}`);
    noteFindings(table, row, report);
  }
}

function patchOf(table: TargetTable, { columns, changed, replaced, refused }: Change): Columns {
  const onlyUse = table.kind === 'token' && [...changed].every((field) => USE.has(field));
  const names = [...changed].filter(
    (field) => field in table.columns && !refused.has(field) && !(onlyUse && field === 'updated_at'),
  );
  return { ...pick(columns, names), ...Object.fromEntries(replaced) };
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
