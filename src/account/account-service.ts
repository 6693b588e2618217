/**
 * `account/` keeps accounts, users and the user profiles that join the two. Superusers change them through this service;
 * whoever gains rights by a change (`owner-gains.ts`) loses the tokens that others know of them.
 *
 *     const user = await accountService.createUser(caller, 'maria', settings);
 */

import { changedFields } from '../audit/audit-log.js';
import type { Propagated } from '../coherence/propagated-changes.js';
import type { OwnerFacts } from '../token/verdict-cache.js';
import type { Clock } from '../lib/clock.js';
import { alreadyExists, KeywardError, notFound } from '../lib/errors.js';
import { requireEtag } from '../lib/etag.js';
import type { Page, PageQuery } from '../lib/page.js';
import { AccountChanges, type AccountChangesDependencies } from './account-changes.js';
import {
  accountEntry,
  deactivatedTokenEntry,
  deletedSecretEntry,
  keptTokens,
  userEntry,
  userProfileEntry,
  type Entry,
} from './account-entries.js';
import type { AccountRepository } from './account-repository.js';
import {
  newAccountNumber,
  type Account,
  type AccountChange,
  type AccountSettings,
  type NewUserProfile,
  type User,
  type UserChange,
  type UserProfile,
  type UserProfileChange,
  type UserSettings,
} from './account.js';
import type { Caller } from '../authz/caller.js';
import { OwnerGains } from './owner-gains.js';
import type { AccountRef, UserProfileRef, UserRef } from '../authz/refs.js';
import { gainsByJoining, PLATFORM_ACCOUNT_NUMBER, promotes } from '../authz/rights.js';
import {
  added,
  OwnerBatches,
  type Deleted,
  type OwnerBatchesDependencies,
  type SwitchedOff,
} from './owner-batches.js';
import type { ProfileSet, UserProfileRepository } from './user-profile-repository.js';
import type { UserRepository } from './user-repository.js';
import type { Transaction } from '../db/knex.js';

export interface AccountServiceDependencies extends AccountChangesDependencies {
  readonly accounts: AccountRepository;
  readonly users: UserRepository;
  readonly profiles: UserProfileRepository;
  readonly tokens: OwnerBatchesDependencies['tokens'];
  readonly clock: Clock;
  /** The scopes of callers with a client certificate; empty where the service takes none. */
  readonly certificateScopes: readonly string[];
  /** Forgets the verdicts of matching owners' tokens. Called after commit, before the call returns. */
  readonly evictOwners: (matches: (owner: OwnerFacts) => boolean) => void;
  /** Forgets the users that client certificates name. Called after commit, before the call returns. */
  readonly evictUsers: () => void;
  /** Makes the number of an account that is given none. */
  readonly newAccountNumber?: () => string;
}

/** Promoted is a user or a user profile after a change, with the tokens that were switched off for it. */
export interface Promoted<T> {
  readonly resource: T;
  readonly deactivated: SwitchedOff;
}

/** Random account numbers to try: with a billion accounts, each is taken once in a thousand times. */
const MAX_NUMBERS_TRIED = 10;

/** AccountService is what can be done with accounts, users and user profiles. Superusers alone may do it. */
export class AccountService {
  readonly #deps: AccountServiceDependencies;
  readonly #changes: AccountChanges;
  readonly #gains: OwnerGains;
  readonly #batches: OwnerBatches;

  constructor(deps: AccountServiceDependencies) {
    this.#deps = deps;
    this.#changes = new AccountChanges(deps);
    this.#gains = new OwnerGains(deps);
    const [changes, gains] = [this.#changes, this.#gains];
    this.#batches = new OwnerBatches({ ...deps, changes, gains, evictUser: (user) => this.#evictUser(user) });
  }

  /** createAccount makes an account; without a number, one is made at random. */
  async createAccount(
    caller: Caller,
    accountNumber: string | undefined,
    settings: AccountSettings,
  ): Promise<Account> {
    const { accounts, newAccountNumber: newNumber = newAccountNumber } = this.#deps;
    return this.#changes.change(caller, async (trx) => {
      const attempts = accountNumber === undefined ? MAX_NUMBERS_TRIED : 1;
      for (let attempt = 0; attempt < attempts; attempt += 1) {
        const account = await accounts.insert(trx, accountNumber ?? newNumber(), settings);
        if (account !== undefined) {
          return { result: account, entry: accountEntry('ACCOUNT_CREATED', account) };
        }
      }
      throw alreadyExists('account', 'account_number');
    });
  }

  async getAccount(caller: Caller, ref: AccountRef): Promise<Account> {
    return existing('account', await this.#changes.readOne(() => this.#deps.accounts.readFor(caller, ref)));
  }

  async listAccounts(caller: Caller, page: PageQuery): Promise<Page<Account>> {
    return this.#changes.read(caller, () => this.#deps.accounts.list(page));
  }

  async updateAccount(
    caller: Caller,
    ref: AccountRef,
    etag: string,
    change: AccountChange,
  ): Promise<Propagated<Account>> {
    return this.#changes.propagate(
      caller,
      async (trx) => {
        const account = current('account', await this.#deps.accounts.lock(trx, ref), etag);
        if (change.isActive === false) requireNotPlatform(account);
        const result = await this.#deps.accounts.update(trx, account.id, change);
        await this.#gains.accountChanged(trx, caller, account, result);
        return { result, entry: accountEntry('ACCOUNT_EDITED', result, changedFields(change)) };
      },
      (account) => this.#evictAccount(account),
    );
  }

  async deleteAccount(
    caller: Caller,
    ref: AccountRef,
    etag: string,
    force: boolean,
  ): Promise<Propagated<Account>> {
    const lock = async (trx: Transaction): Promise<Account> => {
      const account = current('account', await this.#deps.accounts.lock(trx, ref), etag);
      requireNotPlatform(account);
      return account;
    };
    const before = await this.#deleteMany(caller, force, async (trx) => ({
      accountId: (await lock(trx)).id,
    }));
    return this.#changes.propagate(
      caller,
      async (trx) => {
        const account = await lock(trx);
        const deleted = await this.#deleteProfiles(trx, 'account', { accountId: account.id }, force, before);
        await this.#deps.accounts.delete(trx, account.id);
        const entry = accountEntry('ACCOUNT_DELETED', account, deleted.counts);
        return { result: account, entry, besides: deleted.secrets };
      },
      (account) => this.#evictAccount(account),
    );
  }

  async createUser(caller: Caller, username: string, settings: UserSettings): Promise<User> {
    return this.#changes.change(
      caller,
      async (trx) => {
        this.#gains.userMade(caller, settings);
        const inserted = await this.#deps.users.insert(trx, username, settings);
        if (inserted === undefined) throw alreadyExists('user', 'username');
        return { result: inserted, entry: userEntry('USER_CREATED', inserted) };
      },
      // A certificate with this name may have been answered, and remembered, as nobody's.
      () => this.#deps.evictUsers(),
    );
  }

  async getUser(caller: Caller, ref: UserRef): Promise<User> {
    return this.#changes.read(caller, async () => existing('user', await this.#deps.users.find(ref)));
  }

  async listUsers(caller: Caller, page: PageQuery): Promise<Page<User>> {
    return this.#changes.read(caller, () => this.#deps.users.list(page));
  }

  /** updateUser changes a user; `keepTokens` leaves tokens switched on that others know, though the user is promoted. */
  async updateUser(
    caller: Caller,
    ref: UserRef,
    etag: string,
    change: UserChange,
    keepTokens: boolean,
  ): Promise<Propagated<Promoted<User>>> {
    const lock = async (trx: Transaction): Promise<User> =>
      current('user', await this.#deps.users.lock(trx, ref), etag);
    const promoted = async (trx: Transaction): Promise<User | undefined> => {
      const user = await lock(trx);
      const { isStaff = user.isStaff, isSuperuser = user.isSuperuser } = change;
      return promotes(user, { isStaff, isSuperuser }) ? user : undefined;
    };
    return this.#batches.gaining(caller, 'owner_promoted', promoted, (switchedOff) =>
      this.#changes.propagate(
        caller,
        async (trx) => {
          const before = await lock(trx);
          const user = await this.#deps.users.update(trx, before.id, change);
          const tokens = await this.#gains.userChanged(trx, caller, before, user, keepTokens);
          const detail = { ...changedFields(change), ...keptTokens(keepTokens) };
          return {
            result: { resource: user, deactivated: added(switchedOff, tokens) },
            entry: userEntry('USER_EDITED', user, detail),
            besides: tokens.map((token) => deactivatedTokenEntry(token, 'owner_promoted')),
          };
        },
        ({ resource }) => this.#evictUser(resource),
      ),
    );
  }

  async deleteUser(caller: Caller, ref: UserRef, etag: string, force: boolean): Promise<Propagated<User>> {
    const lock = async (trx: Transaction): Promise<User> =>
      current('user', await this.#deps.users.lock(trx, ref), etag);
    const before = await this.#deleteMany(caller, force, async (trx) => ({
      userId: (await lock(trx)).id,
    }));
    return this.#changes.propagate(
      caller,
      async (trx) => {
        const user = await lock(trx);
        const deleted = await this.#deleteProfiles(trx, 'user', { userId: user.id }, force, before);
        await this.#deps.users.delete(trx, user.id);
        const entry = userEntry('USER_DELETED', user, deleted.counts);
        return { result: user, entry, besides: deleted.secrets };
      },
      (user) => this.#evictUser(user),
    );
  }

  /**
   * createUserProfile makes a profile; without a name, it has the username. `keepTokens` leaves tokens switched on that
   * others know, though the user gets rights in another account.
   */
  async createUserProfile(
    caller: Caller,
    userRef: UserRef,
    accountRef: AccountRef,
    given: NewUserProfile,
    keepTokens: boolean,
  ): Promise<Propagated<Promoted<UserProfile>>> {
    const { users, accounts, profiles } = this.#deps;
    // Whoever gives power to a token holds a lock on its user meanwhile, and counts the profiles.
    const lock = async (trx: Transaction): Promise<User> => existing('user', await users.lock(trx, userRef));
    const joining = async (trx: Transaction): Promise<User | undefined> => {
      const user = await lock(trx);
      const { id } = existing('account', await accounts.find(accountRef, trx));
      const isMember = await profiles.isMember(trx, user.id, id);
      return !isMember && gainsByJoining(user) ? user : undefined;
    };
    return this.#batches.gaining(caller, 'owner_joined_account', joining, (switchedOff) =>
      this.#changes.propagate(
        caller,
        async (trx) => {
          const user = await lock(trx);
          const account = existing('account', await accounts.find(accountRef, trx));
          const settings = { name: user.username, ...given };
          const profile = await profiles.insert(trx, user.id, account.id, settings);
          if (profile === undefined) throw alreadyExists('user profile', 'user_and_account');
          const tokens = await this.#gains.userJoined(trx, caller, user, keepTokens);
          return {
            result: { resource: profile, deactivated: added(switchedOff, tokens) },
            entry: userProfileEntry('USER_PROFILE_CREATED', profile, keptTokens(keepTokens)),
            besides: tokens.map((token) => deactivatedTokenEntry(token, 'owner_joined_account')),
          };
        },
        ({ resource: { userId } }) => this.#deps.evictOwners((owner) => owner.userId === userId),
      ),
    );
  }

  async getUserProfile(caller: Caller, ref: UserProfileRef): Promise<UserProfile> {
    return this.#changes.read(caller, async () =>
      existing('user profile', await this.#deps.profiles.find(ref)),
    );
  }

  async listUserProfiles(caller: Caller, page: PageQuery): Promise<Page<UserProfile>> {
    return this.#changes.read(caller, () => this.#deps.profiles.list(page));
  }

  async updateUserProfile(
    caller: Caller,
    ref: UserProfileRef,
    etag: string,
    change: UserProfileChange,
  ): Promise<UserProfile> {
    // No verdict depends on what can be changed here.
    return this.#changes.change(caller, async (trx) => {
      const profile = current('user profile', await this.#deps.profiles.lock(trx, ref), etag);
      const result = await this.#deps.profiles.update(trx, profile.id, change);
      return { result, entry: userProfileEntry('USER_PROFILE_EDITED', result, changedFields(change)) };
    });
  }

  async deleteUserProfile(
    caller: Caller,
    ref: UserProfileRef,
    etag: string,
    force: boolean,
  ): Promise<Propagated<UserProfile>> {
    const lock = async (trx: Transaction): Promise<UserProfile> =>
      current('user profile', await this.#deps.profiles.lock(trx, ref), etag);
    const before = await this.#deleteMany(caller, force, async (trx) => ({
      profileId: (await lock(trx)).id,
    }));
    return this.#changes.propagate(
      caller,
      async (trx) => {
        const profile = await lock(trx);
        const set = { profileId: profile.id };
        const { tokens, secrets } = await this.#deps.profiles.countOf(trx, set);
        const dependents = { tokens: tokens + before.tokens, secrets: secrets + before.secrets };
        if (tokens + secrets > 0 && !force) throw inUse('user profile', dependents);
        const deleted = await this.#deps.profiles.deleteOf(trx, set);
        const entry = userProfileEntry('USER_PROFILE_DELETED', profile, asTexts(dependents));
        return { result: profile, entry, besides: deleted.map(deletedSecretEntry) };
      },
      (profile) => this.#deps.evictOwners((owner) => owner.profileId === profile.id),
    );
  }

  #deleteMany(
    caller: Caller,
    force: boolean,
    find: (trx: Transaction) => Promise<ProfileSet>,
  ): Promise<Deleted> {
    return force ? this.#batches.deleteMany(caller, find) : Promise.resolve({ tokens: 0, secrets: 0 });
  }

  /** #deleteProfiles deletes what belongs to an account or a user, and tells how much, or refuses to if there is anything. */
  async #deleteProfiles(
    trx: Transaction,
    kind: string,
    set: ProfileSet,
    force: boolean,
    before: Deleted,
  ): Promise<{ readonly counts: Readonly<Record<string, string>>; readonly secrets: readonly Entry[] }> {
    const { profiles, tokens, secrets } = await this.#deps.profiles.countOf(trx, set);
    const dependents = {
      user_profiles: profiles,
      tokens: tokens + before.tokens,
      secrets: secrets + before.secrets,
    };
    if (profiles > 0 && !force) throw inUse(kind, dependents);
    const deleted = await this.#deps.profiles.deleteOf(trx, set);
    return { counts: asTexts(dependents), secrets: deleted.map(deletedSecretEntry) };
  }

  #evictAccount({ id }: Account): void {
    this.#deps.evictOwners((owner) => owner.accountId === id);
  }

  #evictUser({ id }: Pick<User, 'id'>): void {
    this.#deps.evictOwners((owner) => owner.userId === id);
    this.#deps.evictUsers();
  }
}

function requireNotPlatform(account: Account): void {
  if (account.accountNumber !== PLATFORM_ACCOUNT_NUMBER) return;
  throw new KeywardError('PLATFORM_ACCOUNT', 'The platform account can be neither deleted nor switched off.');
}

function existing<T>(kind: string, found: T | undefined): T {
  if (found === undefined) throw notFound(kind);
  return found;
}

/** current is what was found, if it is still in the state that the etag marks; an empty etag marks any. */
function current<T extends { readonly rowVersion: bigint }>(
  kind: string,
  found: T | undefined,
  etag: string,
): T {
  const resource = existing(kind, found);
  requireEtag(kind, etag, resource);
  return resource;
}

/** inUse tells how many dependents of which kind there are. */
function inUse(kind: string, dependents: Readonly<Record<string, number>>): KeywardError {
  return new KeywardError('RESOURCE_IN_USE', `Others belong to this ${kind}; "force" deletes them as well.`, {
    metadata: asTexts(dependents),
  });
}

function asTexts(counts: Readonly<Record<string, number>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, String(count)]));
}
