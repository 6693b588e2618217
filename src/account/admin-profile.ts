import { changedFields } from '../audit/audit-log.js';
import { defaultsOf } from '../lib/fields.js';
import type { Instant } from '../lib/instant.js';
import {
  accountEntry,
  deactivatedTokenEntry,
  userEntry,
  userProfileEntry,
  type DeactivationCause,
  type Entry,
} from './account-entries.js';
import { AccountRepository } from './account-repository.js';
import {
  ACCOUNT_FIELDS,
  USER_FIELDS,
  USER_PROFILE_FIELDS,
  type Account,
  type User,
  type UserProfile,
} from './account.js';
import { gainsByJoining, PLATFORM_ACCOUNT_NUMBER, promotes } from '../authz/rights.js';
import { UserProfileRepository } from './user-profile-repository.js';
import { UserRepository } from './user-repository.js';
import type { Transaction } from '../db/knex.js';

const ADMIN = 'admin';
const ADMIN_RANK = { isActive: true, isStaff: true, isSuperuser: true };

/** Ensured is a resource that is there, and the record of its making if it was not there before. */
interface Ensured<T> {
  readonly resource: T;
  readonly entries: readonly Entry[];
}

/**
 * ensureAdminProfile makes what is missing of the platform account, the superuser `admin` and the profile
 * that joins the two, and returns the profile's id with the records of what it made. What exists is left as it is, even if it is switched
 * off, but for tokens of a user `admin` which gain by the profile although someone else has them. Of several that do this at the same time one makes the rows, and all return the same id.
 */
export async function ensureAdminProfile(
  trx: Transaction,
  now: Instant,
): Promise<{ readonly profileId: bigint; readonly entries: readonly Entry[] }> {
  const account = await ensurePlatform(trx);
  const admin = await ensureAdmin(trx);
  const profile = await ensureProfile(trx, admin.resource, account.resource, now);
  return {
    profileId: profile.resource.id,
    entries: [...account.entries, ...admin.entries, ...profile.entries],
  };
}

/**
 * restoreAdmin gives the admin back what bootstrap once gave: a superuser who is switched on, in an account that is.
 * Tokens that gain by it although someone else has them are switched off. It returns the records of that.
 */
export async function restoreAdmin(
  trx: Transaction,
  { userId, accountId }: { readonly userId: bigint; readonly accountId: bigint },
  now: Instant,
): Promise<readonly Entry[]> {
  const active = { isActive: true };
  const users = new UserRepository(trx);
  const before = await users.lock(trx, { by: 'id', id: userId });
  const user = await users.update(trx, userId, ADMIN_RANK);
  const isPromoted = before !== undefined && promotes(before, user);
  const account = await new AccountRepository(trx).update(trx, accountId, active);
  return [
    userEntry('USER_EDITED', user, changedFields(ADMIN_RANK)),
    accountEntry('ACCOUNT_EDITED', account, changedFields(active)),
    ...(isPromoted ? await switchOffKnownToOthers(trx, user, now, 'owner_promoted') : []),
  ];
}

/** switchOffKnownToOthers leaves tokens whose issuer is not known: bootstrap's own has none. */
async function switchOffKnownToOthers(
  trx: Transaction,
  { id }: User,
  now: Instant,
  cause: DeactivationCause,
): Promise<Entry[]> {
  const profiles = new UserProfileRepository(trx);
  const tokens = await profiles.deactivateKnownToOthers(trx, { userIds: [id] }, now, { keepUnknown: true });
  return tokens.map((token) => deactivatedTokenEntry(token, cause));
}

async function ensurePlatform(trx: Transaction): Promise<Ensured<Account>> {
  const accounts = new AccountRepository(trx);
  const settings = { ...defaultsOf(ACCOUNT_FIELDS), name: 'smarter', companyName: 'Smarter' };
  const made = await accounts.insert(trx, PLATFORM_ACCOUNT_NUMBER, settings);
  if (made !== undefined) return { resource: made, entries: [accountEntry('ACCOUNT_CREATED', made)] };
  return there(await accounts.find({ by: 'account_number', accountNumber: PLATFORM_ACCOUNT_NUMBER }, trx));
}

async function ensureAdmin(trx: Transaction): Promise<Ensured<User>> {
  const users = new UserRepository(trx);
  const made = await users.insert(trx, ADMIN, { ...defaultsOf(USER_FIELDS), ...ADMIN_RANK });
  if (made !== undefined) return { resource: made, entries: [userEntry('USER_CREATED', made)] };
  return there(await users.find({ by: 'username', username: ADMIN }, trx));
}

async function ensureProfile(
  trx: Transaction,
  user: User,
  account: Account,
  now: Instant,
): Promise<Ensured<UserProfile>> {
  const profiles = new UserProfileRepository(trx);
  const { id: userId, username } = user;
  const { id: accountId, accountNumber } = account;
  const made = await profiles.insert(trx, userId, accountId, {
    ...defaultsOf(USER_PROFILE_FIELDS),
    name: username,
  });
  if (made !== undefined) {
    const gains = gainsByJoining(user);
    const off = gains ? await switchOffKnownToOthers(trx, user, now, 'owner_joined_account') : [];
    return { resource: made, entries: [userProfileEntry('USER_PROFILE_CREATED', made), ...off] };
  }
  return there(await profiles.find({ by: 'membership', username, accountNumber }, trx));
}

/** there is for the row that kept another from being inserted: it can only be gone if just deleted. */
function there<T>(found: T | undefined): Ensured<T> {
  if (found === undefined) throw new Error('the platform account or its admin was deleted meanwhile');
  return { resource: found, entries: [] };
}
