import type { Knex } from 'knex';
import { OPERATOR, type AuditAction, type AuditEntry } from '../audit/audit-log.js';
import { formatPgTimestamp, type Instant } from '../lib/instant.js';
import type { Preference } from './conflicts.js';
import type { Kind } from './report.js';
import { query } from './target-store.js';

/** Deletion is how one batch of rows is deleted. */
export interface Deletion {
  readonly now: Instant;
  /** Microseconds for which a deleted secret can be brought back; 0: not at all. */
  readonly retention: bigint;
  readonly prefer: Preference;
}

/** deleteTokens revokes tokens. */
export async function deleteTokens(trx: Knex.Transaction, ids: readonly string[]): Promise<AuditEntry[]> {
  const entries = await entriesOf(trx, 'token', 'TOKEN_DELETED', ids);
  await trx.raw('DELETE FROM tokens WHERE id = ANY (?::bigint[])', [[...ids]]);
  return entries;
}

/** deleteSecrets deletes secrets so that they can be brought back for a while. */
export async function deleteSecrets(
  trx: Knex.Transaction,
  ids: readonly string[],
  { now, retention }: Deletion,
): Promise<AuditEntry[]> {
  const entries = await entriesOf(trx, 'secret', 'SECRET_DELETED', ids);
  if (retention === 0n) {
    const purged = await entriesOf(trx, 'secret', 'SECRET_PURGED', ids);
    await trx.raw('DELETE FROM secrets WHERE id = ANY (?::bigint[])', [[...ids]]);
    return [...entries, ...purged];
  }
  const times = [now, now + retention].map(formatPgTimestamp);
  await trx.raw('UPDATE secrets SET deleted_at = ?, purge_at = ? WHERE id = ANY (?::bigint[])', [
    ...times,
    [...ids],
  ]);
  return entries;
}

/** Where the owner of a row `t` is found. */
const OWNERS: Readonly<Record<Kind, string>> = {
  account: 'accounts t LEFT JOIN user_profiles p ON false LEFT JOIN accounts a ON a.id = t.id',
  user: 'users t LEFT JOIN user_profiles p ON false LEFT JOIN accounts a ON false',
  user_profile:
    'user_profiles t LEFT JOIN user_profiles p ON p.id = t.id LEFT JOIN accounts a ON a.id = t.account_id',
  token: 'tokens t JOIN user_profiles p ON p.id = t.user_profile_id JOIN accounts a ON a.id = p.account_id',
  secret: 'secrets t JOIN user_profiles p ON p.id = t.user_profile_id JOIN accounts a ON a.id = p.account_id',
};

const GONE = { cause: 'gone_from_source' };

/** entriesOf are the records of what is done to rows: if nothing else is said, because the source no longer has them. */
export async function entriesOf(
  trx: Knex.Transaction,
  kind: Kind,
  action: AuditAction,
  ids: readonly string[],
  detail: AuditEntry['detail'] = GONE,
): Promise<AuditEntry[]> {
  const rows = await query<{
    id: string;
    profileId: string | null;
    accountId: string | null;
    number: string;
  }>(
    trx,
    `SELECT t.id::text AS id, p.id::text AS "profileId", a.id::text AS "accountId", a.account_number AS number
     FROM ${OWNERS[kind]} WHERE t.id = ANY (?::bigint[]) ORDER BY t.id`,
    [[...ids]],
  );
  return rows.map(({ id, profileId, accountId, number }) => {
    const account = accountId === null ? {} : { accountId: BigInt(accountId), accountNumber: number };
    const profile = profileId === null ? {} : { profileId: BigInt(profileId) };
    const resource = { kind, id: BigInt(id), ...profile, ...account };
    return { actor: OPERATOR, action, outcome: 'OK', resource, detail };
  });
}
