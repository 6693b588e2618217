import { AccountRepository } from './account/account-repository.js';
import { AccountService } from './account/account-service.js';
import { UserProfileRepository } from './account/user-profile-repository.js';
import { UserRepository } from './account/user-repository.js';
import type { AuditLog } from './audit/audit-log.js';
import type { Caller } from './authz/caller.js';
import type { CallerRightsReader } from './authz/rights.js';
import type { Propagated, PropagatedChanges } from './coherence/propagated-changes.js';
import type { Config } from './config.js';
import type { Database, Transaction } from './db/knex.js';
import { inTransactionFor } from './db/transaction.js';
import type { DoneRequests } from './idempotency/done-requests.js';
import type { Clock } from './lib/clock.js';
import type { Services } from './manifest/keepers.js';
import type { OneTransaction } from './manifest/manifest-service.js';
import { secretServices, type SecretServicesDependencies } from './secret/secret-services.js';
import { tokenServices, type TokenServices, type TokenServicesDependencies } from './token/token-services.js';
import type { AccountServiceDependencies } from './account/account-service.js';

/** Memory is what a process remembers that changes may make wrong. */
export type Memory = Pick<TokenServicesDependencies, 'evict' | 'evictProfiles'> &
  Pick<AccountServiceDependencies, 'evictOwners' | 'evictUsers'>;

export interface OwnerServicesDependencies {
  readonly config: Pick<Config, 'tlsClientCa' | 'tlsClientScopes'>;
  readonly knex: Database;
  readonly rightsReader: CallerRightsReader;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly requests: DoneRequests;
  readonly changes: Pick<PropagatedChanges, 'make' | 'begin'>;
  readonly clock: Clock;
  readonly logger: TokenServicesDependencies['logger'];
  readonly memory: Memory;
}

export interface OwnerServices extends TokenServices {
  readonly accounts: AccountService;
}

/** ownerServices makes the services of tokens and of those who own them. */
export function ownerServices(deps: OwnerServicesDependencies): OwnerServices {
  const { config, knex, memory } = deps;
  const ofTokens = tokenServices({ ...deps, ...memory });
  const accounts = new AccountService({
    ...deps,
    ...memory,
    accounts: new AccountRepository(knex),
    users: new UserRepository(knex),
    profiles: new UserProfileRepository(knex),
    tokens: ofTokens.tokens,
    certificateScopes: config.tlsClientCa === undefined ? [] : config.tlsClientScopes,
  });
  return { ...ofTokens, accounts };
}

export type JoinedServicesDependencies = OwnerServicesDependencies & SecretServicesDependencies;

/** Undone carries a result out of a transaction that is rolled back. */
class Undone extends Error {
  override readonly name = 'Undone';
  readonly result: unknown;

  constructor(result: unknown) {
    super('rolled back, as it was meant to be');
    this.result = result;
  }
}

/** The propagation of a part of a transaction, which nobody reads: that of the whole tells. */
const TOLD_WITH_ALL = {
  complete: false,
  acknowledged: 0,
  pending: 0,
  clientsAcknowledged: 0,
  clientsExpired: 0,
  waitedMs: 0,
};

/** JoinedServices runs calls of the services in one transaction: each makes the services anew, on that transaction. */
export class JoinedServices implements OneTransaction {
  readonly #deps: JoinedServicesDependencies;

  constructor(deps: JoinedServicesDependencies) {
    this.#deps = deps;
  }

  async run<T>(caller: Caller, work: (services: Services) => Promise<T>): Promise<Propagated<T>> {
    let forgetting: (() => void)[] = [];
    return this.#deps.changes.make(
      caller,
      (trx) => {
        // It may be run again.
        forgetting = [];
        return work(this.#on(trx, this.#deps.audit, (forget) => forgetting.push(forget)));
      },
      () => {
        for (const forget of forgetting) forget();
      },
    );
  }

  async attempt<T>(caller: Caller, work: (services: Services) => Promise<T>): Promise<T> {
    const silent = { ...this.#deps.audit, record: () => Promise.resolve() };
    try {
      return await inTransactionFor(caller, this.#deps.knex, async (trx): Promise<T> => {
        throw new Undone(await work(this.#on(trx, silent, () => undefined)));
      });
    } catch (error) {
      if (error instanceof Undone) return error.result as T;
      throw error;
    }
  }

  /** #on makes the services on a transaction; what is remembered is forgotten when `later` says so. */
  #on(
    trx: Transaction,
    audit: SecretServicesDependencies['audit'],
    later: (forget: () => void) => void,
  ): Services {
    const { memory, rightsReader } = this.#deps;
    const joined = {
      ...this.#deps,
      knex: trx,
      audit,
      rightsReader: { of: (caller: Caller) => rightsReader.of(caller, trx) },
      changes: changesWithin(trx),
      memory: {
        evict: (digests) => later(() => memory.evict(digests)),
        evictProfiles: (ids) => later(() => memory.evictProfiles(ids)),
        evictOwners: (matches) => later(() => memory.evictOwners(matches)),
        evictUsers: () => later(() => memory.evictUsers()),
      } satisfies Memory,
    };
    const { secrets, versions } = secretServices(joined);
    return { ...ownerServices(joined), secrets, versions };
  }
}

/** changesWithin makes changes as parts of a transaction. */
function changesWithin(trx: Transaction): Pick<PropagatedChanges, 'make' | 'begin'> {
  return {
    make: async (client, work, forget) => ({
      result: await inTransactionFor(client, trx, work, forget),
      propagation: TOLD_WITH_ALL,
    }),
    begin: async (client, work, forget) => ({
      result: await inTransactionFor(client, trx, work, forget),
      seen: () => Promise.resolve(TOLD_WITH_ALL),
    }),
  };
}
