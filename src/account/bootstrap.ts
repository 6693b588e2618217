import { DEFAULT_VERSION, type Description } from '../lib/resource-rules.js';
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

/**
 * ensureAdminProfile makes what is missing of the platform account, the superuser `admin` and the profile
 * that joins the two, and returns the profile's id. What exists is left as it is, even if it is switched
 * off. Of several that do this at the same time one makes the rows, and all return the same id.
 */
export async function ensureAdminProfile(trx: Transaction): Promise<bigint> {
  const account = await ensurePlatform(trx);
  const admin = await ensureAdmin(trx);
  const profile = await ensureProfile(trx, admin, account);
  return profile.id;
}

/** restoreAdmin gives the admin back what bootstrap once gave: a superuser who is switched on, in an account that is. */
export async function restoreAdmin(
  trx: Transaction,
  { userId, accountId }: { readonly userId: bigint; readonly accountId: bigint },
): Promise<void> {
  await new UserRepository(trx).update(trx, userId, ADMIN_RANK);
  await new AccountRepository(trx).update(trx, accountId, { isActive: true });
}

async function ensurePlatform(trx: Transaction): Promise<Account> {
  const accounts = new AccountRepository(trx);
  const settings = { ...NO_DESCRIPTION, name: 'smarter', companyName: 'Smarter', isActive: true };
  return (
    (await accounts.insert(trx, PLATFORM_ACCOUNT_NUMBER, settings)) ??
    present(await accounts.find({ by: 'account_number', accountNumber: PLATFORM_ACCOUNT_NUMBER }, trx))
  );
}

async function ensureAdmin(trx: Transaction): Promise<User> {
  const users = new UserRepository(trx);
  return (
    (await users.insert(trx, ADMIN, { ...ADMIN_RANK, email: '', firstName: '', lastName: '' })) ??
    present(await users.find({ by: 'username', username: ADMIN }, trx))
  );
}

async function ensureProfile(trx: Transaction, user: User, account: Account): Promise<UserProfile> {
  const profiles = new UserProfileRepository(trx);
  const { id: userId, username } = user;
  const { id: accountId, accountNumber } = account;
  return (
    (await profiles.insert(trx, userId, accountId, { ...NO_DESCRIPTION, name: username })) ??
    present(await profiles.find({ by: 'membership', username, accountNumber }, trx))
  );
}

/** present is for the row that kept another from being inserted: it can only be gone if just deleted. */
function present<T>(found: T | undefined): T {
  if (found === undefined) throw new Error('the platform account or its admin was deleted meanwhile');
  return found;
}
