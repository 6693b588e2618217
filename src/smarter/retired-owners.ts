import type { Knex } from 'knex';
import type { AuditAction, AuditEntry } from '../audit/audit-log.js';
import { deleteSecrets, deleteTokens, entriesOf, type Deletion } from './removal.js';
import type { Kind } from './report.js';
import { TARGET_TABLES } from './target-tables.js';
import { forgetRecords, query } from './target-store.js';

export type OwnerKind = Exclude<Kind, 'token' | 'secret'>;

/** What becomes of a row whose source row is gone, so that another can have its name; longer names lose their end. */
const RETIREMENTS: Readonly<Record<OwnerKind, { table: string; nameColumn?: string }>> = {
  account: { table: 'accounts', nameColumn: 'account_number' },
  user: { table: 'users', nameColumn: 'username' },
  user_profile: { table: 'user_profiles' },
};
const MAX_USERNAME = 150;

/**
 * retireOwners switches owners off and frees their names. deleteRetired then deletes what they had in Keyward alone, and
 * themselves as soon as nothing hangs on them: secrets do until they cannot be brought back any more.
 */
export async function retireOwners(
  trx: Knex.Transaction,
  kind: OwnerKind,
  ids: readonly string[],
): Promise<AuditEntry[]> {
  const { table, nameColumn } = RETIREMENTS[kind];
  if (nameColumn !== undefined) {
    const suffix = "' (deleted ' || id || ')'";
    await trx.raw(
      `UPDATE ${table} SET is_active = false,
         ${nameColumn} = left(${nameColumn}, ${MAX_USERNAME} - length(${suffix})) || ${suffix}
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
  if (kind === 'user_profile') return [];
  return entriesOf(trx, kind, kind === 'user' ? 'USER_EDITED' : 'ACCOUNT_EDITED', ids);
}

/** ownedByRetired finds some of what retired profiles own that was made in Keyward. */
async function ownedByRetired(trx: Knex.Transaction, kind: 'token' | 'secret'): Promise<string[]> {
  const { table, present } = TARGET_TABLES[kind];
  const rows = await query<{ id: string }>(
    trx,
    `SELECT t.id::text AS id
     FROM import_records p JOIN ${table} t ON t.user_profile_id = p.target_id AND ${present}
     WHERE p.kind = 'user_profile' AND p.retired_at IS NOT NULL
       AND NOT EXISTS (SELECT FROM import_records r WHERE r.kind = ? AND r.target_id = t.id)
     ORDER BY t.id LIMIT ${AT_ONCE} FOR UPDATE OF t`,
    [kind],
  );
  return rows.map(({ id }) => id);
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

/**
 * deleteRetired deletes what retired owners have in Keyward alone, and those on which nothing hangs, some at a time, and
 * tells of it; nothing if there are none.
 */
export async function deleteRetired(trx: Knex.Transaction, deletion: Deletion): Promise<AuditEntry[]> {
  const tokens = await ownedByRetired(trx, 'token');
  if (tokens.length > 0) return deleteTokens(trx, tokens);
  const secrets = await ownedByRetired(trx, 'secret');
  if (secrets.length > 0) return deleteSecrets(trx, secrets, deletion);
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
