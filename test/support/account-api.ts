import { randomUUID, randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { expect, vi } from 'vitest';
import { accountHandlers } from '../../src/account/account-handler.js';
import { DoneRequestRepository } from '../../src/idempotency/done-request-repository.js';
import { AccountRepository } from '../../src/account/account-repository.js';
import { AccountService } from '../../src/account/account-service.js';
import { newAccountNumber } from '../../src/account/account.js';
import { ensureAdminProfile } from '../../src/account/admin-profile.js';
import type { Caller } from '../../src/authz/caller.js';
import { CallerRightsRepository } from '../../src/authz/caller-rights-repository.js';
import { UserProfileRepository } from '../../src/account/user-profile-repository.js';
import { UserRepository } from '../../src/account/user-repository.js';
import type { OwnerFacts } from '../../src/token/verdict-cache.js';
import { openDatabase } from '../../src/db/knex.js';
import type { Account, User, UserProfile } from '../../src/gen/keyward/account/v1/account.js';
import { AccountServiceService } from '../../src/gen/keyward/account/v1/account_service.js';
import { systemClock } from '../../src/lib/clock.js';
import { instantFromMillis } from '../../src/lib/instant.js';
import type { Handler } from '../../src/rpc/handlers.js';
import { testAuditLog } from './audit.js';
import { createTestDatabase } from './database.js';
import { changesAlone } from './single-replica.js';

type Methods = Omit<typeof AccountServiceService, 'resolveId'>;
export type Method = keyof Methods;
type RequestOf<Name extends Method> = ReturnType<Methods[Name]['requestDeserialize']>;
type ResponseOf<Name extends Method> = ReturnType<Methods[Name]['responseDeserialize']>;

/** AccountApi is AccountService on a database of its own, called as from the wire but without a server. */
export interface AccountApi {
  readonly knex: Knex;
  readonly rightsReader: CallerRightsRepository;
  /** admin is the superuser that a bootstrap makes. */
  readonly admin: Caller;
  /** evictions are the matchers and `users`, in the order in which the service asked for them. */
  readonly evictions: (((owner: OwnerFacts) => boolean) | 'users')[];
  /** numbers are given to accounts without a number, before random ones. */
  readonly numbers: string[];
  call<Name extends Method>(
    name: Name,
    request: Partial<RequestOf<Name>>,
    caller?: Caller,
  ): Promise<ResponseOf<Name>>;
  newAccount(request?: Partial<RequestOf<'createAccount'>>): Promise<Account>;
  newUser(request?: Partial<RequestOf<'createUser'>>): Promise<User>;
  newProfile(user: User, account: Account): Promise<UserProfile>;
  /** newToken inserts a token row, all that this service knows of tokens. */
  newToken(profile: UserProfile, knex?: Knex): Promise<void>;
  /** waiting returns once this many statements wait for a lock. */
  waiting(statements: number): Promise<void>;
  /** race starts the calls while a row is locked, lets the row go once all wait for it, and tells how they end. */
  race<T>(
    table: string,
    row: { readonly id: bigint },
    calls: readonly (() => Promise<T>)[],
  ): Promise<PromiseSettledResult<T>[]>;
  close(): Promise<void>;
}

export async function openAccountApi(): Promise<AccountApi> {
  const database = await createTestDatabase();
  const knex = openDatabase({
    url: database.url,
    poolSize: 10,
    connectTimeoutMs: 10_000,
    statementTimeoutMs: 20_000,
  });
  const evictions: AccountApi['evictions'] = [];
  const numbers: string[] = [];
  const rightsReader = new CallerRightsRepository(knex);
  const repositories = {
    accounts: new AccountRepository(knex),
    users: new UserRepository(knex),
    profiles: new UserProfileRepository(knex),
  };
  const service = new AccountService({
    knex,
    ...repositories,
    rightsReader,
    audit: testAuditLog(knex),
    requests: new DoneRequestRepository(knex),
    changes: changesAlone(knex),
    tokens: { deleteOfProfiles: () => Promise.resolve(0) },
    clock: systemClock,
    certificateScopes: [],
    evictOwners: (matches) => evictions.push(matches),
    evictUsers: () => evictions.push('users'),
    newAccountNumber: () => numbers.shift() ?? newAccountNumber(),
  });
  const handlers = accountHandlers(service, systemClock);
  const { profileId } = await knex.transaction((trx) =>
    ensureAdminProfile(trx, instantFromMillis(systemClock.now())),
  );
  const adminUser = defined(await repositories.users.find({ by: 'username', username: 'admin' }));
  const admin = callerOf({ id: adminUser.id, username: 'admin' }, profileId);

  const call: AccountApi['call'] = async <Name extends Method>(
    name: Name,
    request: Partial<RequestOf<Name>>,
    caller = admin,
  ) => {
    const method = AccountServiceService[name];
    const handler = handlers[name] as unknown as Handler<RequestOf<Name>, ResponseOf<Name>>;
    const serialize = method.responseSerialize as (response: ResponseOf<Name>) => Buffer;
    const empty = method.requestDeserialize(Buffer.alloc(0)) as RequestOf<Name>;
    const response = await handler.handle({ ...empty, ...request }, caller);
    return method.responseDeserialize(serialize(response)) as ResponseOf<Name>;
  };
  const waiting: AccountApi['waiting'] = (statements) =>
    vi.waitFor(
      async () => {
        const found = await knex('pg_stat_activity').whereRaw(
          "datname = current_database() AND wait_event_type = 'Lock'",
        );
        expect(found).toHaveLength(statements);
      },
      { timeout: 10_000 },
    );
  return {
    knex,
    rightsReader,
    admin,
    evictions,
    numbers,
    call,
    newAccount: async (request = {}) =>
      defined((await call('createAccount', { name: 'account', ...request })).account),
    newUser: async (request = {}) =>
      defined((await call('createUser', { username: `user-${randomUUID()}`, ...request })).user),
    newProfile: async (user, account) => {
      const { userProfile } = await call('createUserProfile', {
        user: { selector: { $case: 'id', value: user.id } },
        account: { selector: { $case: 'id', value: account.id } },
      });
      return defined(userProfile);
    },
    newToken: async (profile, on = knex) => {
      await on.raw(
        `WITH token AS (
           INSERT INTO tokens (key_id, user_profile_id, name) VALUES (gen_random_uuid(), ?, ?) RETURNING id)
         INSERT INTO token_digests (digest, token_id, token_key) SELECT ?, id, '' FROM token`,
        [String(profile.id), randomUUID(), randomBytes(64)],
      );
    },
    waiting,
    race: async (table, { id }, calls) => {
      const locking = await knex.transaction();
      await locking(table)
        .where({ id: String(id) })
        .forUpdate()
        .pluck('id');
      const results = Promise.allSettled(calls.map((start) => start()));
      await waiting(calls.length).finally(() => locking.rollback());
      return results;
    },
    close: async () => {
      await knex.destroy();
      await database.drop();
    },
  };
}

export function callerOf(user: Pick<User, 'id' | 'username'>, profileId?: bigint): Caller {
  return {
    userId: user.id,
    username: user.username,
    profileId,
    accountNumber: undefined,
    keyId: undefined,
    scopes: ['*'],
    origin: { peer: '127.0.0.1:1', requestId: randomUUID(), certificate: undefined },
    isGone: () => false,
  };
}

/** byId is a selector of every kind of resource. */
export function byId({ id }: { readonly id: bigint }) {
  return { selector: { $case: 'id' as const, value: id } };
}

/** defined fails where a value is absent. */
export function defined<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a value that must be there is absent');
  return value;
}
