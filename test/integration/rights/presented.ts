import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import type { Caller } from '../../../src/authz/caller.js';
import type { Credential, Person, Place } from './oracle.js';

const PLATFORM = '3141-5926-5359';
export const CERTIFICATE_SCOPES = ['keyward.tokens.write', 'keyward.accounts.write'];

interface CredentialRow {
  digest: string;
  token_id: bigint;
  key_id: string;
  scopes: string[];
  profile_id: bigint;
  user_id: bigint;
  username: string;
  account_number: string;
  is_staff: boolean;
  is_superuser: boolean;
  is_on: boolean;
  ends_at: number | null;
  profiles: string[];
}

/** Presented is a credential as the service would see its caller. */
export interface Presented {
  readonly credential: Credential;
  readonly caller: Caller;
}

const PROFILES = `ARRAY(
  SELECT concat_ws('/', q.id, b.id, b.account_number) FROM user_profiles q JOIN accounts b ON b.id = q.account_id
  WHERE q.user_id = u.id) AS profiles`;

/** present tells of those of the plaintexts and certificates that there are, by digest and by username. */
export async function present(
  trx: Knex.Transaction,
  digests: readonly string[],
  usernames: readonly string[],
): Promise<Map<string, Presented>> {
  const tokens = await trx.raw<{ rows: CredentialRow[] }>(
    `SELECT encode(d.digest, 'hex') AS digest, t.id AS token_id, t.key_id, t.scopes, p.id AS profile_id, u.id AS user_id,
       u.username, a.account_number, u.is_staff, u.is_superuser, t.is_active AND u.is_active AND a.is_active AS is_on,
       extract(epoch FROM least(t.expires_at, d.retires_at))::float8 AS ends_at, ${PROFILES}
     FROM token_digests d JOIN tokens t ON t.id = d.token_id JOIN user_profiles p ON p.id = t.user_profile_id
       JOIN users u ON u.id = p.user_id JOIN accounts a ON a.id = p.account_id
     WHERE d.digest = ANY (?::bytea[])`,
    [digests.map((digest) => Buffer.from(digest, 'hex'))],
  );
  const users = await trx.raw<{ rows: CredentialRow[] }>(
    `SELECT u.id AS user_id, u.username, u.is_staff, u.is_superuser, u.is_active AS is_on, ${PROFILES}
     FROM users u WHERE u.username = ANY (?)`,
    [[...usernames]],
  );
  const present = new Map<string, Presented>();
  for (const row of tokens.rows) {
    const name = `a plaintext of token ${row.token_id} of ${row.username}`;
    present.set(row.digest, presentedBy(row, name, row.scopes, row));
  }
  for (const row of users.rows) {
    present.set(row.username, presentedBy(row, `the certificate of ${row.username}`, CERTIFICATE_SCOPES));
  }
  return present;
}

function presentedBy(
  row: CredentialRow,
  name: string,
  scopes: readonly string[],
  token?: Pick<CredentialRow, 'key_id' | 'profile_id' | 'account_number'>,
): Presented {
  const { user_id: userId, username, is_on: isOn } = row;
  const endsAt = row.ends_at ?? Infinity;
  return {
    credential: { name, person: personOf(row), scopes, isOn, endsAt },
    caller: callerOf(userId, username, scopes, token),
  };
}

function personOf(row: Pick<CredentialRow, 'is_staff' | 'is_superuser' | 'profiles'>): Person {
  const profiles = row.profiles.map((text) => {
    const [profile = '', accountId = '', number] = text.split('/');
    return { profileId: profile, accountId, isPlatform: number === PLATFORM };
  });
  return { isStaff: row.is_staff, isSuperuser: row.is_superuser, profiles };
}

function callerOf(
  userId: bigint,
  username: string,
  scopes: readonly string[],
  token?: Pick<CredentialRow, 'key_id' | 'profile_id' | 'account_number'>,
): Caller {
  return {
    userId,
    username,
    profileId: token?.profile_id,
    accountNumber: token?.account_number,
    keyId: token?.key_id,
    scopes,
    origin: { peer: '127.0.0.1:1', requestId: randomUUID(), certificate: undefined },
    isGone: () => false,
  };
}

/** placesNow are the user profiles that there are, in their accounts. */
export async function placesNow(trx: Knex.Transaction): Promise<Place[]> {
  const profiles = await trx('users as u').select<CredentialRow[]>(trx.raw(PROFILES));
  return profiles.flatMap((row) => personOf({ ...row, is_staff: false, is_superuser: false }).profiles);
}
