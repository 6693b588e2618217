import type { Knex } from 'knex';
import type { Aim, Choice } from './calls.js';

/** The username of a certificate whose user does not exist. */
export const GHOST = 'ghost';

/** The number of an account that does not exist. */
const UNUSED_ACCOUNT = '4444-4444-4444';

/** Things are the numbers of what a call is about. */
export type Things = Omit<Aim, 'newName' | 'names'>;

interface OwnerNames {
  readonly username: string;
  readonly accountNumber: string;
}

/** Names are what documents call the things that a call is about; null for what is not there. */
export interface Names {
  readonly token: (OwnerNames & { readonly name: string }) | null;
  readonly secret: (OwnerNames & { readonly name: string }) | null;
  readonly user: string | null;
  readonly account: string | null;
  readonly profile: OwnerNames | null;
}

/** namesOf is what documents call these things; undefined where there are none. */
export async function namesOf(
  trx: Knex.Transaction,
  { token, secret, user, profile, account }: Things,
): Promise<Names> {
  const owned = (table: string) =>
    `(SELECT json_build_object('name', t.name, 'username', u.username, 'accountNumber', a.account_number)
        FROM ${table} t JOIN user_profiles p ON p.id = t.user_profile_id JOIN users u ON u.id = p.user_id
          JOIN accounts a ON a.id = p.account_id WHERE t.id = ?)`;
  const { rows } = await trx.raw<{ rows: [Names] }>(
    `SELECT ${owned('tokens')} AS token, ${owned('secrets')} AS secret,
         (SELECT username FROM users WHERE id = ?) AS user,
         (SELECT account_number FROM accounts WHERE id = ?) AS account,
         (SELECT json_build_object('username', u.username, 'accountNumber', a.account_number)
          FROM user_profiles p JOIN users u ON u.id = p.user_id JOIN accounts a ON a.id = p.account_id
          WHERE p.id = ?) AS profile`,
    [token, secret, user, account, profile].map(String),
  );
  return rows[0];
}

/** documentOf describes one of the things that a call is about, or a new one, of any kind. */
export function documentOf(
  { names, newName }: Pick<Aim, 'names' | 'newName'>,
  { scopes, expiry, flags, mask, other }: Choice,
): object {
  const { token, secret, user, account, profile } = names;
  const [isActive, isStaff, isSuperuser] = flags;
  const expiresAt =
    expiry === undefined ? {} : { expiresAt: new Date(Date.now() + expiry * 1000).toISOString() };
  const document = (kind: string, name: string, spec: object) => {
    return { apiVersion: 'keyward/v1', kind, metadata: { name }, spec };
  };
  const accountNumber = account ?? UNUSED_ACCOUNT;
  const owner = (of: OwnerNames | null) => ({
    username: of?.username ?? GHOST,
    accountNumber: of?.accountNumber ?? UNUSED_ACCOUNT,
  });
  const isNew = mask % 2 === 0;
  const ofToken = { scopes, isActive, ...expiresAt };
  const kinds = [
    document('ApiKey', token?.name ?? newName, { owner: owner(token ?? profile), ...ofToken }),
    document('ApiKey', newName, { owner: owner(profile), ...ofToken }),
    // A new one would need a value.
    ...(secret === null ? [] : [document('Secret', secret.name, { owner: owner(secret), ...expiresAt })]),
    document('User', isNew || user === null ? newName : user, { isActive, isStaff, isSuperuser }),
    document('UserProfile', newName, { username: user ?? GHOST, accountNumber }),
    document('Account', newName, { accountNumber, isActive }),
  ];
  return kinds[other % kinds.length] ?? {};
}
