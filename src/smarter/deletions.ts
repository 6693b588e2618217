import type { Knex } from 'knex';
import type { AuditAction, AuditEntry } from '../audit/audit-log.js';
import { ROW, writeConflicts, type Conflict } from './conflicts.js';
import { deleteSecrets, deleteTokens, entriesOf, type Deletion } from './removal.js';
import { BatchReport, type HeldDeletions, type Kind } from './report.js';
import { retireOwners } from './retired-owners.js';
import { forgetRecords } from './target-store.js';
import { TARGET_TABLES, type TargetTable } from './target-tables.js';
import { lockVanished, type VanishedRow } from './vanished-rows.js';

/** DeletionPolicy says what becomes of rows that the source no longer has. */
export interface DeletionPolicy {
  /** `report` only tells of them. */
  readonly mode: 'apply' | 'report';
  /** Most rows of a kind that may be deleted, in percent; if it would be more, nothing is deleted. */
  readonly maxPercent: number;
  /** Delete however many they are. */
  readonly force: boolean;
}

/** So many may be deleted of a kind that has few rows, though never more than half. */
const FEW = 3;

/** VanishedKeys are the rows of one kind that are gone from the source. */
export interface VanishedKeys {
  readonly kind: Kind;
  readonly keys: readonly string[];
  /** Imported rows of that kind, and rows that the source has. */
  readonly records: number;
  readonly seen: number;
}

/** heldBack tells of which kinds too many rows are gone. A source without any account or user is no platform, whatever is forced. */
export function heldBack(vanished: readonly VanishedKeys[], policy: DeletionPolicy): HeldDeletions[] {
  return vanished
    .map(({ kind, keys, records, seen }) => {
      const isBare = seen === 0 && (kind === 'account' || kind === 'user');
      const allowed = isBare ? 0 : policy.force ? records : mostOf(records, policy.maxPercent);
      return { kind, vanished: keys.length, allowed };
    })
    .filter((held) => held.vanished > held.allowed);
}

function mostOf(records: number, percent: number): number {
  return Math.max(Math.floor((records * percent) / 100), Math.min(FEW, Math.floor(records / 2)));
}

/** Deleted is what one batch did. */
export interface Deleted {
  readonly count: number;
  readonly entries: readonly AuditEntry[];
  readonly report: BatchReport;
}

/**
 * deleteVanished deletes rows of one kind that the source no longer has. Owners are retired: they are switched off, and
 * their names are free. Rows that were changed in Keyward since become conflicts.
 */
export async function deleteVanished(
  trx: Knex.Transaction,
  kind: Kind,
  keys: readonly string[],
  deletion: Deletion,
): Promise<Deleted> {
  const table = TARGET_TABLES[kind];
  const rows = await lockVanished(trx, table, keys);
  const staying = rows.filter(({ changedHere, isKeywards }) => {
    return isKeywards || (changedHere.length > 0 && deletion.prefer !== 'source');
  });
  const leaving = rows.filter((row) => !staying.includes(row));
  const report = new BatchReport();
  for (const row of leaving) noteDeleted(kind, row, report);
  const kept = await keep(trx, table, staying, deletion, report);
  const entries = await remove(trx, table, leaving, deletion);
  return { count: leaving.length, entries: [...kept, ...entries], report };
}

function noteDeleted(kind: Kind, { label, changedHere }: VanishedRow, report: BatchReport): void {
  const what = 'deleted: it is gone from the source';
  if (changedHere.length === 0) return report.note(kind, label, 'deleted', what);
  report.note(
    kind,
    label,
    'conflict',
    `${what}, although it was changed in Keyward: ${changedHere.join(', ')}`,
  );
}

/** keep makes conflicts of rows. What can be switched off is, unless Keyward is preferred. */
async function keep(
  trx: Knex.Transaction,
  { kind, table, columns }: TargetTable,
  rows: readonly VanishedRow[],
  { prefer }: Deletion,
  report: BatchReport,
): Promise<AuditEntry[]> {
  const off = rows.filter(({ isActive, isKeywards }) => {
    return 'is_active' in columns && isActive && !isKeywards && prefer === 'safer';
  });
  const conflicts = rows.map((row): Conflict => {
    const keywardValue = off.includes(row) ? { is_active: true } : null;
    return { key: row.key, field: ROW, kept: 'keyward', keywardValue, sourceValue: null };
  });
  await writeConflicts(trx, kind, conflicts);
  for (const row of rows) {
    const why = row.isKeywards
      ? 'Keyward had it before'
      : `it was changed in Keyward: ${row.changedHere.join(', ')}`;
    const how = off.includes(row) ? 'it stays, switched off' : 'it stays';
    report.note(kind, row.label, 'conflict', `conflict: it is gone from the source, but ${why}: ${how}`);
  }
  if (off.length === 0) return [];
  await trx.raw(`UPDATE ${table} SET is_active = false WHERE id = ANY (?::bigint[])`, [
    off.map(({ id }) => id),
  ]);
  const action = SWITCHED_OFF[kind];
  return action === undefined
    ? []
    : entriesOf(
        trx,
        kind,
        action,
        off.map(({ id }) => id),
      );
}

const SWITCHED_OFF: Readonly<Partial<Record<Kind, AuditAction>>> = {
  account: 'ACCOUNT_EDITED',
  user: 'USER_EDITED',
  token: 'TOKEN_DEACTIVATED',
};

async function remove(
  trx: Knex.Transaction,
  { kind }: TargetTable,
  rows: readonly VanishedRow[],
  deletion: Deletion,
): Promise<AuditEntry[]> {
  const ids = rows.map(({ id }) => id);
  const keys = rows.map(({ key }) => key);
  if (ids.length === 0) return [];
  if (kind === 'token' || kind === 'secret') {
    await forgetRecords(trx, kind, keys);
    return kind === 'token' ? deleteTokens(trx, ids) : deleteSecrets(trx, ids, deletion);
  }
  return retireOwners(trx, kind, ids);
}
