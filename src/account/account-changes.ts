import { actorOf, type AuditLog } from '../audit/audit-log.js';
import type { Propagated, PropagatedChanges } from '../coherence/propagated-changes.js';
import type { Database, Transaction } from '../db/knex.js';
import { inTransactionFor, reading } from '../db/transaction.js';
import { notPermitted } from '../lib/errors.js';
import { resourceOf, type Entry } from './account-entries.js';
import type { Caller } from '../authz/caller.js';
import type { BesideRights } from '../authz/caller-rows.js';
import type { DoneRequests } from '../idempotency/done-requests.js';
import { managesAccounts, type CallerRights, type CallerRightsReader } from '../authz/rights.js';

export interface AccountChangesDependencies {
  readonly knex: Database;
  readonly rightsReader: CallerRightsReader;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly requests: DoneRequests;
  readonly changes: Pick<PropagatedChanges, 'make' | 'begin'>;
}

/** Changed is the result of a change, and its record but for who made it. */
export interface Changed<T> {
  readonly result: T;
  readonly entry: Entry;
  /** The records of what was deleted, or switched off, with it. */
  readonly besides?: readonly Entry[];
}

/** AccountChanges lets those who manage accounts read and change them, each change together with its records. */
export class AccountChanges {
  readonly #deps: AccountChangesDependencies;

  constructor(deps: AccountChangesDependencies) {
    this.#deps = deps;
  }

  async read<T>(caller: Caller, read: () => Promise<T>): Promise<T> {
    return reading(async () => {
      requireManager(await this.#deps.rightsReader.of(caller));
      return read();
    });
  }

  /** readOne reads what a caller names and the caller's rights, where `read` does both at once. */
  async readOne<T>(read: () => Promise<BesideRights<T>>): Promise<T | undefined> {
    const { callerRights, found } = await read();
    requireManager(callerRights);
    return found[0];
  }

  /** look reads with locks that hold until it has. It changes nothing, so a call that only validates goes on after it. */
  look<T>(caller: Caller, look: (trx: Transaction) => Promise<T>): Promise<T> {
    const { isGone } = caller;
    return inTransactionFor({ isGone }, this.#deps.knex, async (trx) => {
      requireManager(await this.#deps.rightsReader.of(caller, trx));
      return look(trx);
    });
  }

  /** change makes a change that no verdict depends on; `forget` then drops what may be remembered and wrong. */
  async change<T>(
    caller: Caller,
    change: (trx: Transaction) => Promise<Changed<T>>,
    forget?: (changed: T) => void,
  ): Promise<T> {
    return inTransactionFor(caller, this.#deps.knex, this.#recorded(caller, change), forget);
  }

  /** propagate makes a change that verdicts depend on, and waits until all replicas have seen it. */
  async propagate<T>(
    caller: Caller,
    change: (trx: Transaction) => Promise<Changed<T>>,
    forget: (changed: T) => void,
  ): Promise<Propagated<T>> {
    return this.#deps.changes.make(caller, this.#recorded(caller, change), forget);
  }

  /** part makes a part of a change that verdicts depend on, with its records, and does not wait: what comes last does. */
  async part<T>(
    caller: Caller,
    work: (trx: Transaction) => Promise<T>,
    entriesOf: (done: T) => readonly Entry[],
    forget: (done: T) => void = () => undefined,
  ): Promise<T> {
    const { changes, rightsReader } = this.#deps;
    const recorded = async (trx: Transaction): Promise<T> => {
      requireManager(await rightsReader.of(caller, trx));
      const done = await work(trx);
      await this.#record(trx, caller, entriesOf(done));
      return done;
    };
    return (await changes.begin(caller, recorded, forget)).result;
  }

  /** #recorded is a change together with its record. */
  #recorded<T>(
    caller: Caller,
    change: (trx: Transaction) => Promise<Changed<T>>,
  ): (trx: Transaction) => Promise<T> {
    return async (trx) => {
      await this.#deps.requests.claim(trx, caller);
      requireManager(await this.#deps.rightsReader.of(caller, trx));
      const { result, entry, besides = [] } = await change(trx);
      await this.#deps.requests.done(trx, caller, resourceOf(entry));
      await this.#record(trx, caller, [entry, ...besides]);
      return result;
    };
  }

  async #record(trx: Transaction, caller: Caller, entries: readonly Entry[]): Promise<void> {
    const actor = actorOf(caller);
    await this.#deps.audit.record(
      trx,
      entries.map((entry) => ({ actor, ...entry })),
    );
  }
}

/** requireManager comes before anything is looked up: others do not learn what there is. */
function requireManager(callerRights: CallerRights): void {
  if (managesAccounts(callerRights)) return;
  throw notPermitted('Only superusers who have a user profile manage accounts, users and user profiles.');
}
