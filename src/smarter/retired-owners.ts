import type { Knex } from 'knex';
import type { AuditAction, AuditEntry } from '../audit/audit-log.js';
import { deleteSecrets, deleteTokens, entriesOf, type Deletion } from './removal.js';
import type { Kind } from './report.js';
import { forgetRecords, query } from './target-store.js';

export type OwnerKind = Exclude<Kind, 'token' | 'secret'>;

/** What becomes of a row whose source row is gone, so that another can have its name; longer names lose their end. */
const RETIREMENTS: Readonly<Record<OwnerKind, { table: string; nameColumn?: string }>> = {
  account: { table: 'accounts', nameColumn: 'account_number' },
  user: { table: 'users', nameColumn: 'username' },
  user_profile: { table: 'user_profiles' },
};
const LONGEST_USERNAME = 150;

/**
 * retireOwners takes everything from owners that they had in Keyward alone, switches them off and frees their names. They are
 * deleted by deleteRetired as soon as nothing hangs on them: secrets do until they cannot be brought back any more.
 */
export async function retireOwners(
  trx: Knex.Transaction,
  kind: OwnerKind,
  ids: readonly string[],
  deletion: Deletion,
): Promise<AuditEntry[]> {
  const { table, nameColumn } = RETIREMENTS[kind];
  const entries =
    kind === 'user_profile'
      ? await deleteOwned(trx, ids, deletion)
      : await entriesOf(trx, kind, kind === 'user' ? 'USER_EDITED' : 'ACCOUNT_EDITED', ids);
  if (nameColumn !== undefined) {
    const suffix = "' (deleted ' || id || ')'";
    await trx.raw(
      `UPDATE ${table} SET is_active = false,
         ${nameColumn} = left(${nameColumn}, ${LONGEST_USERNAME} - length(${suffix})) || ${suffix}
       WHERE id = ANY (?::bigint[])`,
      [[...ids]],
    );
    await trx.raw(
      `UPDATE import_records r SET fields = r.fields || jsonb_build_object('is_active', false, '${nameColumn}', t.${nameColumn})
       FROM ${table} t WHERE r.kind = ? AND r.target_id = t.id AND t.id = ANY (?::bigint[])`,
      [kind, [...ids]],
    );
  }
  await trx.raw(
    'UPDATE import_records SET retired_at = statement_timestamp() WHERE kind = ? AND target_id = ANY (?::bigint[])',
    [kind, [...ids]],
  );
  return entries;
}

/** deleteOwned deletes what profiles own that was made in Keyward. */
async function deleteOwned(
  trx: Knex.Transaction,
  profileIds: readonly string[],
  deletion: Deletion,
): Promise<AuditEntry[]> {
  const ownOf = async (table: string, kind: Kind, condition: string): Promise<string[]> => {
    const rows = await query<{ id: string }>(
      trx,
      `SELECT t.id::text AS id FROM ${table} t WHERE t.user_profile_id = ANY (?::bigint[]) AND ${condition}
         AND NOT EXISTS (SELECT FROM import_records r WHERE r.kind = ? AND r.target_id = t.id)
       ORDER BY t.id FOR UPDATE`,
      [[...profileIds], kind],
    );
    return rows.map(({ id }) => id);
  };
  const tokens = await deleteTokens(trx, await ownOf('tokens', 'token', 'true'));
  const secrets = await deleteSecrets(
    trx,
    await ownOf('secrets', 'secret', 't.deleted_at IS NULL'),
    deletion,
  );
  return [...tokens, ...secrets];
}

/** What must not be there any more for a retired row `t` to be deleted. */
const HANGING: readonly { kind: OwnerKind; action: AuditAction; isFree: string }[] = [
  {
    kind: 'user_profile',
    action: 'USER_PROFILE_DELETED',
    isFree: `NOT EXISTS (SELECT FROM tokens o WHERE o.user_profile_id = t.id)
      AND NOT EXISTS (SELECT FROM secrets o WHERE o.user_profile_id = t.id)`,
  },
  {
    kind: 'user',
    action: 'USER_DELETED',
    isFree: 'NOT t.is_active AND NOT EXISTS (SELECT FROM user_profiles o WHERE o.user_id = t.id)',
  },
  {
    kind: 'account',
    action: 'ACCOUNT_DELETED',
    isFree: 'NOT t.is_active AND NOT EXISTS (SELECT FROM user_profiles o WHERE o.account_id = t.id)',
  },
];

/** Rows that one call deletes of a kind. */
const AT_ONCE = 500;

/** deleteRetired deletes retired owners on which nothing hangs, some at a time, and tells of it; nothing if there are none. */
export async function deleteRetired(trx: Knex.Transaction): Promise<AuditEntry[]> {
  for (const { kind, action, isFree } of HANGING) {
    const { table } = RETIREMENTS[kind];
    const rows = await query<{ id: string; key: string }>(
      trx,
      `SELECT t.id::text AS id, r.source_key AS key
       FROM import_records r JOIN ${table} t ON t.id = r.target_id
       WHERE r.kind = ? AND r.retired_at IS NOT NULL AND ${isFree}
       ORDER BY t.id LIMIT ${AT_ONCE} FOR UPDATE OF t`,
      [kind],
    );
    if (rows.length === 0) continue;
    const ids = rows.map(({ id }) => id);
    const entries = await entriesOf(trx, kind, action, ids);
    await trx.raw(`DELETE FROM ${table} WHERE id = ANY (?::bigint[])`, [ids]);
    await forgetRecords(
      trx,
      kind,
      rows.map(({ key }) => key),
    );
    return entries;
  }
  return [];
}
