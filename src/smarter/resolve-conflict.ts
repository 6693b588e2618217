import type { Knex } from 'knex';
import { deactivatedTokenEntry } from '../account/account-entries.js';
import { UserProfileRepository } from '../account/user-profile-repository.js';
import { OPERATOR, type AuditAction, type AuditEntry, type AuditLog } from '../audit/audit-log.js';
import type { Clock } from '../lib/clock.js';
import { hasCode } from '../lib/errno.js';
import { presentOf } from '../lib/instant.js';
import { foldName } from '../lib/text.js';
import { ROW, type Side } from './conflicts.js';
import { deleteVanished } from './deletions.js';
import { Promotions } from './promotions.js';
import { entriesOf, type Deletion } from './removal.js';
import { BatchReport, type Kind } from './report.js';
import { deleteRetired } from './retired-owners.js';
import { VALUE_VERSION } from './secret-rows.js';
import { lockImports } from './import-lock.js';
import { SmarterImportError } from './smarter-import-error.js';
import type { FieldValue } from './source-rows.js';
import { applyPatches, forgetRecords, query } from './target-store.js';
import { TARGET_TABLES } from './target-tables.js';

export interface Resolution {
  readonly target: Knex;
  readonly audit: AuditLog;
  readonly clock: Clock;
  /** Microseconds for which a deleted secret can be brought back; 0: not at all. */
  readonly retention: bigint;
  /** The number of the conflict. */
  readonly id: string;
  /** Whose value is to stay. */
  readonly keep: Side;
}

interface StoredConflict {
  readonly kind: Kind;
  readonly key: string;
  readonly field: string;
  readonly kept: Side;
  readonly keywardValue: FieldValue;
  readonly sourceValue: FieldValue;
  readonly targetId: string;
}

/** What is told of a conflict that is settled: at once, or by the next import, which has to read the value. */
export type Resolved = 'done' | 'at the next import';

/**
 * resolveConflict settles one conflict by the value of either side, as it was when an import found it, and forgets it.
 * @throws SmarterImportError where there is no such conflict, or what is chosen cannot be
 */
export async function resolveConflict(resolution: Resolution): Promise<Resolved> {
  const resolved = await locked(resolution, async (trx): Promise<Resolved> => {
    const conflict = await find(trx, resolution.id);
    if (conflict.field === 'value' && resolution.keep === 'source' && conflict.kept === 'keyward') {
      await leaveToImport(trx, conflict, resolution.id);
      return 'at the next import';
    }
    const entries = await settle(trx, conflict, resolution);
    await trx.raw('DELETE FROM import_conflicts WHERE id = ?', [resolution.id]);
    await resolution.audit.record(trx, entries);
    return 'done';
  });
  await deleteAllRetired(resolution);
  return resolved;
}

/** locked runs a transaction while no import is running, which could decide about the same rows. */
function locked<T>({ target }: Resolution, work: (trx: Knex.Transaction) => Promise<T>): Promise<T> {
  return target.transaction(async (trx) => {
    await lockImports(trx);
    return work(trx);
  });
}

async function find(trx: Knex.Transaction, id: string): Promise<StoredConflict> {
  const [conflict] = await query<StoredConflict>(
    trx,
    `SELECT c.kind, c.source_key AS key, c.field, c.kept, c.keyward_value AS "keywardValue",
       c.source_value AS "sourceValue", r.target_id::text AS "targetId"
     FROM import_conflicts c JOIN import_records r USING (kind, source_key) WHERE c.id = ? FOR UPDATE OF c`,
    [id],
  );
  if (conflict === undefined) throw new SmarterImportError(`There is no conflict ${id}.`);
  return conflict;
}

async function settle(
  trx: Knex.Transaction,
  conflict: StoredConflict,
  resolution: Resolution,
): Promise<readonly AuditEntry[]> {
  const { keep } = resolution;
  if (conflict.field === ROW) {
    return keep === 'source' ? deleteRow(trx, conflict, resolution) : keepRow(trx, conflict);
  }
  if (keep === conflict.kept) return [];
  if (conflict.field === 'value') return disableVersionOfSource(trx, conflict);
  return writeValue(
    trx,
    conflict,
    keep === 'source' ? conflict.sourceValue : conflict.keywardValue,
    resolution,
  );
}

/** deleteRow does what the source did, although the row was changed here. */
async function deleteRow(
  trx: Knex.Transaction,
  { kind, key }: StoredConflict,
  resolution: Resolution,
): Promise<readonly AuditEntry[]> {
  await trx.raw('UPDATE import_records SET merged = false WHERE kind = ? AND source_key = ?', [kind, key]);
  const { count, entries } = await deleteVanished(trx, kind, [key], deletionOf(resolution));
  if (count === 0) throw new SmarterImportError('Keyward cannot do without it, or it is deleted already.');
  return entries;
}

/** deleteAllRetired goes on, some rows at a time, until all is deleted that hung on owners who are gone. */
async function deleteAllRetired(resolution: Resolution): Promise<void> {
  const some = async (trx: Knex.Transaction): Promise<number> => {
    const entries = await deleteRetired(trx, deletionOf(resolution));
    await resolution.audit.record(trx, entries);
    return entries.length;
  };
  while ((await locked(resolution, some)) > 0);
}

function deletionOf({ clock, retention }: Resolution): Deletion {
  return { now: presentOf(clock), retention, prefer: 'source' };
}

/** keepRow makes a row one of Keyward's own, and switches on again what was only switched off until somebody decides. */
async function keepRow(
  trx: Knex.Transaction,
  { kind, key, targetId, keywardValue }: StoredConflict,
): Promise<readonly AuditEntry[]> {
  await forgetRecords(trx, kind, [key]);
  if (keywardValue === null) return [];
  await trx.raw(`UPDATE ${TARGET_TABLES[kind].table} SET is_active = true WHERE id = ?`, [targetId]);
  return entriesOf(trx, kind, SWITCHED_ON[kind], [targetId]);
}

const SWITCHED_ON: Readonly<Record<Kind, AuditAction>> = {
  account: 'ACCOUNT_EDITED',
  user: 'USER_EDITED',
  user_profile: 'USER_PROFILE_EDITED',
  token: 'TOKEN_ACTIVATED',
  secret: 'SECRET_EDITED',
};

/** disableVersionOfSource makes the version of Keyward, which stands before it, the latest again. */
async function disableVersionOfSource(
  trx: Knex.Transaction,
  { key, targetId }: StoredConflict,
): Promise<readonly AuditEntry[]> {
  const [disabled] = await query<{ number: number }>(
    trx,
    `UPDATE secret_versions v SET state = 'DISABLED' FROM import_records r
     WHERE r.kind = 'secret' AND r.source_key = ? AND v.secret_id = r.target_id AND v.state = 'ENABLED'
       AND v.number = (r.fields ->> '${VALUE_VERSION}')::integer RETURNING v.number`,
    [key],
  );
  if (disabled === undefined) return [];
  const detail = { version: String(disabled.number) };
  return entriesOf(trx, 'secret', 'SECRET_VERSION_DISABLED', [targetId], detail);
}

/** leaveToImport has the next import take the source's value, which only that can read. */
async function leaveToImport(trx: Knex.Transaction, { key }: StoredConflict, id: string): Promise<void> {
  await trx.raw("UPDATE import_conflicts SET decision = 'source' WHERE id = ?", [id]);
  await trx.raw(
    `UPDATE import_records SET fields = fields || '{"value": ""}' WHERE kind = 'secret' AND source_key = ?`,
    [key],
  );
}

/** writeValue gives the field a value. Tokens of others that gain by a new owner are switched off, as by an import. */
async function writeValue(
  trx: Knex.Transaction,
  { kind, field, targetId }: StoredConflict,
  value: FieldValue,
  { target, clock }: Resolution,
): Promise<readonly AuditEntry[]> {
  const table = TARGET_TABLES[kind];
  const folded = field === 'name' && 'name_key' in table.columns ? { name_key: foldName(textOf(value)) } : {};
  const write = (): Promise<void> =>
    applyPatches(trx, table, [{ id: targetId, columns: { [field]: value, ...folded } }]);
  const promotions = new Promotions({
    profiles: new UserProfileRepository(target),
    clock,
    keepTokens: false,
  });
  const report = new BatchReport();
  try {
    if (kind === 'token') await promotions.changeTokens(trx, [targetId], report, write);
    else await promotions.changeUsers(trx, await usersOf(trx, kind, targetId, field, value), report, write);
  } catch (cause) {
    if (!hasCode(cause, '23505', '23503')) throw cause;
    throw new SmarterImportError(
      'Another row of Keyward has that already, or it refers to one that is gone.',
      { cause },
    );
  }
  return [
    ...(await entriesOf(trx, kind, EDITED[kind], [targetId], { fields: field })),
    ...report.deactivated.map(({ token, cause }) => ({
      actor: OPERATOR,
      ...deactivatedTokenEntry(token, cause),
    })),
  ];
}

const EDITED: Readonly<Record<Kind, AuditAction>> = { ...SWITCHED_ON, token: 'TOKEN_EDITED' };

/** usersOf are the users who may gain by a new value of a field. */
async function usersOf(
  trx: Knex.Transaction,
  kind: Kind,
  id: string,
  field: string,
  value: FieldValue,
): Promise<string[]> {
  if (kind === 'user') return [id];
  if (kind !== 'user_profile') return [];
  const [profile] = await query<{ user: string }>(
    trx,
    'SELECT user_id::text AS user FROM user_profiles WHERE id = ?',
    [id],
  );
  return [...(profile === undefined ? [] : [profile.user]), ...(field === 'user_id' ? [textOf(value)] : [])];
}

/** textOf is a text, or the number of a row, which JSON of the database does not write as one. */
function textOf(value: FieldValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
