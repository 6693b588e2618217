import { changedFields } from '../audit/audit-log.js';
import { DEFAULT_VERSION, type Description } from '../lib/resource-rules.js';
import { accountEntry, userEntry, userProfileEntry, type Entry } from './account-entries.js';
import { AccountRepository } from './account-repository.js';
import type { Account, User, UserProfile } from './account.js';
import { PLATFORM_ACCOUNT_NUMBER } from './rights.js';
import { UserProfileRepository } from './user-profile-repository.js';
import { UserRepository } from './user-repository.js';
import type { Transaction } from '../db/knex.js';

const ADMIN = 'admin';
const ADMIN_RANK = { isActive: true, isStaff: true, isSuperuser: true };
const NO_DESCRIPTION: Description = {
  description: '',
  version: DEFAULT_VERSION,
  tags: [],
  annotations: new Map(),
  manifestPath: '',
};

/** Ensured is a resource that is there, and the record of its making if it was not there before. */
interface Ensured<T> {
  readonly resource: T;
  readonly entries: readonly Entry[];
}

/**
 * ensureAdminProfile makes what is missing of the platform account, the superuser `admin` and the profile
 * that joins the two, and returns the profile's id with the records of what it made. What exists is left as it is, even if it is switched
 * off. Of several that do this at the same time one makes the rows, and all return the same id.
 */
export async function ensureAdminProfile(
  trx: Transaction,
): Promise<{ readonly profileId: bigint; readonly entries: readonly Entry[] }> {
  const account = await ensurePlatform(trx);
  const admin = await ensureAdmin(trx);
  const profile = await ensureProfile(trx, admin.resource, account.resource);
  return {
    profileId: profile.resource.id,
    entries: [...account.entries, ...admin.entries, ...profile.entries],
  };
}

/**
 * restoreAdmin gives the admin back what bootstrap once gave: a superuser who is switched on, in an account that is.
 * It returns the records of that.
 */
export async function restoreAdmin(
  trx: Transaction,
  { userId, accountId }: { readonly userId: bigint; readonly accountId: bigint },
): Promise<readonly Entry[]> {
  const active = { isActive: true };
  const user = await new UserRepository(trx).update(trx, userId, ADMIN_RANK);
  const account = await new AccountRepository(trx).update(trx, accountId, active);
  return [
    userEntry('USER_EDITED', user, changedFields(ADMIN_RANK)),
    accountEntry('ACCOUNT_EDITED', account, changedFields(active)),
  ];
}

async function ensurePlatform(trx: Transaction): Promise<Ensured<Account>> {
  const accounts = new AccountRepository(trx);
  const settings = { ...NO_DESCRIPTION, name: 'smarter', companyName: 'Smarter', isActive: true };
  const made = await accounts.insert(trx, PLATFORM_ACCOUNT_NUMBER, settings);
  if (made !== undefined) return { resource: made, entries: [accountEntry('ACCOUNT_CREATED', made)] };
  return there(await accounts.find({ by: 'account_number', accountNumber: PLATFORM_ACCOUNT_NUMBER }, trx));
}

async function ensureAdmin(trx: Transaction): Promise<Ensured<User>> {
  const users = new UserRepository(trx);
  const made = await users.insert(trx, ADMIN, { ...ADMIN_RANK, email: '', firstName: '', lastName: '' });
  if (made !== undefined) return { resource: made, entries: [userEntry('USER_CREATED', made)] };
  return there(await users.find({ by: 'username', username: ADMIN }, trx));
}

async function ensureProfile(trx: Transaction, user: User, account: Account): Promise<Ensured<UserProfile>> {
  const profiles = new UserProfileRepository(trx);
  const { id: userId, username } = user;
  const { id: accountId, accountNumber } = account;
  const made = await profiles.insert(trx, userId, accountId, { ...NO_DESCRIPTION, name: username });
  if (made !== undefined) {
    return { resource: made, entries: [userProfileEntry('USER_PROFILE_CREATED', made)] };
  }
  return there(await profiles.find({ by: 'membership', username, accountNumber }, trx));
}

/** there is for the row that kept another from being inserted: it can only be gone if just deleted. */
function there<T>(found: T | undefined): Ensured<T> {
  if (found === undefined) throw new Error('the platform account or its admin was deleted meanwhile');
  return { resource: found, entries: [] };
}
