import { actorOf, changedFields, type AuditLog } from '../audit/audit-log.js';
import type { Propagated, PropagatedChanges } from '../coherence/propagated-changes.js';
import type { OwnerFacts } from '../coherence/verdict-cache.js';
import { inTransactionFor, reading } from '../db/transaction.js';
import type { Clock } from '../lib/clock.js';
import { alreadyExists, etagMismatch, KeywardError, notFound, notPermitted } from '../lib/errors.js';
import { etagOf } from '../lib/etag.js';
import type { Page, PageQuery } from '../lib/page.js';
import type { Description } from '../lib/resource-rules.js';
import {
  accountEntry,
  deactivatedTokenEntry,
  deletedSecretEntry,
  keptTokens,
  resourceOf,
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
  type User,
  type UserChange,
  type UserProfile,
  type UserProfileChange,
  type UserSettings,
} from './account.js';
import type { Caller } from './caller.js';
import type { DoneRequests } from './done-requests.js';
import { OwnerGains } from './owner-gains.js';
import type { AccountRef, UserProfileRef, UserRef } from './refs.js';
import { managesAccounts, PLATFORM_ACCOUNT_NUMBER, type Standing } from './rights.js';
import type { StandingReader } from './standing.js';
import type { DeactivatedToken, ProfileSet, UserProfileRepository } from './user-profile-repository.js';
import type { UserRepository } from './user-repository.js';
import type { Database, Transaction } from '../db/knex.js';

export interface AccountServiceDependencies {
  readonly knex: Database;
  readonly accounts: AccountRepository;
  readonly users: UserRepository;
  readonly profiles: UserProfileRepository;
  readonly standings: StandingReader;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly requests: DoneRequests;
  readonly changes: Pick<PropagatedChanges, 'make'>;
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

/** Changed is the result of a change, and its record but for who made it. */
interface Changed<T> {
  readonly result: T;
  readonly entry: Entry;
  /** The records of what was deleted, or switched off, with it. */
  readonly besides?: readonly Entry[];
}

/** Promoted is a user or a user profile after a change, with the tokens that were switched off for it. */
export interface Promoted<T> {
  readonly resource: T;
  readonly deactivated: readonly DeactivatedToken[];
}

/** Random account numbers to try: with a billion accounts, each is taken once in a thousand times. */
const MOST_NUMBERS_TRIED = 10;

/** AccountService is what can be done with accounts, users and user profiles. Superusers alone may do it. */
export class AccountService {
  readonly #deps: AccountServiceDependencies;
  readonly #gains: OwnerGains;

  constructor(deps: AccountServiceDependencies) {
    this.#deps = deps;
    this.#gains = new OwnerGains(deps);
  }

  /** createAccount makes an account; without a number, one is made at random. */
  async createAccount(
    caller: Caller,
    accountNumber: string | undefined,
    settings: AccountSettings,
  ): Promise<Account> {
    const { accounts, newAccountNumber: newNumber = newAccountNumber } = this.#deps;
    return this.#change(caller, async (trx) => {
      const attempts = accountNumber === undefined ? MOST_NUMBERS_TRIED : 1;
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
    return this.#read(caller, async () => existing('account', await this.#deps.accounts.find(ref)));
  }

  async listAccounts(caller: Caller, page: PageQuery): Promise<Page<Account>> {
    return this.#read(caller, () => this.#deps.accounts.list(page));
  }

  async updateAccount(
    caller: Caller,
    ref: AccountRef,
    etag: string,
    change: AccountChange,
  ): Promise<Propagated<Account>> {
    return this.#propagate(
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
    return this.#propagate(
      caller,
      async (trx) => {
        const account = current('account', await this.#deps.accounts.lock(trx, ref), etag);
        requireNotPlatform(account);
        const deleted = await this.#deleteProfiles(trx, 'account', { accountId: account.id }, force);
        await this.#deps.accounts.delete(trx, account.id);
        const entry = accountEntry('ACCOUNT_DELETED', account, deleted.counts);
        return { result: account, entry, besides: deleted.secrets };
      },
      (account) => this.#evictAccount(account),
    );
  }

  async createUser(caller: Caller, username: string, settings: UserSettings): Promise<User> {
    return this.#change(
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
    return this.#read(caller, async () => existing('user', await this.#deps.users.find(ref)));
  }

  async listUsers(caller: Caller, page: PageQuery): Promise<Page<User>> {
    return this.#read(caller, () => this.#deps.users.list(page));
  }

  /** updateUser changes a user; `keepTokens` leaves tokens switched on that others know, though the user is promoted. */
  async updateUser(
    caller: Caller,
    ref: UserRef,
    etag: string,
    change: UserChange,
    keepTokens: boolean,
  ): Promise<Propagated<Promoted<User>>> {
    return this.#propagate(
      caller,
      async (trx) => {
        const before = current('user', await this.#deps.users.lock(trx, ref), etag);
        const user = await this.#deps.users.update(trx, before.id, change);
        const deactivated = await this.#gains.userChanged(trx, caller, before, user, keepTokens);
        const detail = { ...changedFields(change), ...keptTokens(keepTokens) };
        return {
          result: { resource: user, deactivated },
          entry: userEntry('USER_EDITED', user, detail),
          besides: deactivated.map((token) => deactivatedTokenEntry(token, 'owner_promoted')),
        };
      },
      ({ resource }) => this.#evictUser(resource),
    );
  }

  async deleteUser(caller: Caller, ref: UserRef, etag: string, force: boolean): Promise<Propagated<User>> {
    return this.#propagate(
      caller,
      async (trx) => {
        const user = current('user', await this.#deps.users.lock(trx, ref), etag);
        const deleted = await this.#deleteProfiles(trx, 'user', { userId: user.id }, force);
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
    name: string | undefined,
    description: Description,
    keepTokens: boolean,
  ): Promise<Propagated<Promoted<UserProfile>>> {
    const { users, accounts, profiles } = this.#deps;
    return this.#propagate(
      caller,
      async (trx) => {
        // Whoever gives power to a token holds a lock on its user meanwhile, and counts the profiles.
        const user = existing('user', await users.lock(trx, userRef));
        const account = existing('account', await accounts.find(accountRef, trx));
        const settings = { ...description, name: name ?? user.username };
        const profile = await profiles.insert(trx, user.id, account.id, settings);
        if (profile === undefined) throw alreadyExists('user profile', 'user_and_account');
        const deactivated = await this.#gains.userJoined(trx, caller, user, keepTokens);
        return {
          result: { resource: profile, deactivated },
          entry: userProfileEntry('USER_PROFILE_CREATED', profile, keptTokens(keepTokens)),
          besides: deactivated.map((token) => deactivatedTokenEntry(token, 'owner_joined_account')),
        };
      },
      ({ resource: { userId } }) => this.#deps.evictOwners((owner) => owner.userId === userId),
    );
  }

  async getUserProfile(caller: Caller, ref: UserProfileRef): Promise<UserProfile> {
    return this.#read(caller, async () => existing('user profile', await this.#deps.profiles.find(ref)));
  }

  async listUserProfiles(caller: Caller, page: PageQuery): Promise<Page<UserProfile>> {
    return this.#read(caller, () => this.#deps.profiles.list(page));
  }

  async updateUserProfile(
    caller: Caller,
    ref: UserProfileRef,
    etag: string,
    change: UserProfileChange,
  ): Promise<UserProfile> {
    // No verdict depends on what can be changed here.
    return this.#change(caller, async (trx) => {
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
    return this.#propagate(
      caller,
      async (trx) => {
        const profile = current('user profile', await this.#deps.profiles.lock(trx, ref), etag);
        const set = { profileId: profile.id };
        const { tokens, secrets } = await this.#deps.profiles.countOf(trx, set);
        const dependents = { tokens, secrets };
        if (tokens + secrets > 0 && !force) throw inUse('user profile', dependents);
        const deleted = await this.#deps.profiles.deleteOf(trx, set);
        const entry = userProfileEntry('USER_PROFILE_DELETED', profile, asTexts(dependents));
        return { result: profile, entry, besides: deleted.map(deletedSecretEntry) };
      },
      (profile) => this.#deps.evictOwners((owner) => owner.profileId === profile.id),
    );
  }

  /** #deleteProfiles deletes what belongs to an account or a user, and tells how much, or refuses to if there is anything. */
  async #deleteProfiles(
    trx: Transaction,
    kind: string,
    set: ProfileSet,
    force: boolean,
  ): Promise<{ readonly counts: Readonly<Record<string, string>>; readonly secrets: readonly Entry[] }> {
    const { profiles, tokens, secrets } = await this.#deps.profiles.countOf(trx, set);
    const dependents = { user_profiles: profiles, tokens, secrets };
    if (profiles > 0 && !force) throw inUse(kind, dependents);
    const deleted = await this.#deps.profiles.deleteOf(trx, set);
    return { counts: asTexts(dependents), secrets: deleted.map(deletedSecretEntry) };
  }

  #evictAccount({ id }: Account): void {
    this.#deps.evictOwners((owner) => owner.accountId === id);
  }

  #evictUser({ id }: User): void {
    this.#deps.evictOwners((owner) => owner.userId === id);
    this.#deps.evictUsers();
  }

  async #read<T>(caller: Caller, read: () => Promise<T>): Promise<T> {
    return reading(async () => {
      requireManager(await this.#deps.standings.of(caller));
      return read();
    });
  }

  /** #change makes a change that no verdict depends on; `forget` then drops what may be remembered and wrong. */
  async #change<T>(
    caller: Caller,
    change: (trx: Transaction) => Promise<Changed<T>>,
    forget?: (changed: T) => void,
  ): Promise<T> {
    return inTransactionFor(caller, this.#deps.knex, this.#recorded(caller, change), forget);
  }

  /** #propagate makes a change that verdicts depend on, and waits until all replicas have seen it. */
  async #propagate<T>(
    caller: Caller,
    change: (trx: Transaction) => Promise<Changed<T>>,
    forget: (changed: T) => void,
  ): Promise<Propagated<T>> {
    return this.#deps.changes.make(caller, this.#recorded(caller, change), forget);
  }

  /** #recorded is a change together with its record. */
  #recorded<T>(
    caller: Caller,
    change: (trx: Transaction) => Promise<Changed<T>>,
  ): (trx: Transaction) => Promise<T> {
    return async (trx) => {
      await this.#deps.requests.claim(trx, caller);
      requireManager(await this.#deps.standings.of(caller, trx));
      const { result, entry, besides = [] } = await change(trx);
      await this.#deps.requests.done(trx, caller, resourceOf(entry));
      const actor = actorOf(caller);
      await this.#deps.audit.record(
        trx,
        [entry, ...besides].map((each) => ({ actor, ...each })),
      );
      return result;
    };
  }
}

/** requireManager comes before anything is looked up: others do not learn what there is. */
function requireManager(standing: Standing): void {
  if (managesAccounts(standing)) return;
  throw notPermitted('Only superusers who have a user profile manage accounts, users and user profiles.');
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
  if (etag !== '' && etag !== etagOf(resource.rowVersion)) throw etagMismatch(kind);
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
