import type { Caller } from '../authz/caller.js';
import type { DoneRequests } from '../idempotency/done-requests.js';
import type { CallerRights } from '../authz/rights.js';
import type { AuditEntry, AuditLog } from '../audit/audit-log.js';
import type { Database, Transaction } from '../db/knex.js';
import type { Propagated, PropagatedChanges } from '../coherence/propagated-changes.js';
import { inTransactionFor } from '../db/transaction.js';
import type { Clock } from '../lib/clock.js';
import { notFound } from '../lib/errors.js';
import { presentOf } from '../lib/instant.js';
import { doneBy, type Done } from './secret-audit.js';
import type { SecretFinder } from './secret-finder.js';
import type { SecretRef } from './secret-ref.js';
import { isReady, type Secret } from './secret.js';

/** AuditedChange is what a change of a secret led to. */
export interface AuditedChange<T> {
  /** The secret as it is after it. */
  readonly secret: Secret;
  readonly answer: T;
  /** Nothing if all was so already. */
  readonly done: readonly Done[];
  /** What is recorded besides. */
  readonly more?: readonly AuditEntry[];
}

/** Work is what is done to a secret that is locked. */
type Work<T> = (trx: Transaction, secret: Secret, callerRights: CallerRights) => Promise<AuditedChange<T>>;

export interface SecretChangesDependencies {
  readonly knex: Database;
  /** Makes changes that clients must have heard of when the call returns. */
  readonly propagated: Pick<PropagatedChanges, 'make'>;
  readonly finder: SecretFinder;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly requests: DoneRequests;
  readonly clock: Clock;
}

/** SecretChanges makes changes of secrets, each in one transaction with its audit records. */
export class SecretChanges {
  readonly #deps: SecretChangesDependencies;

  constructor(deps: SecretChangesDependencies) {
    this.#deps = deps;
  }

  /** change locks a secret that the caller manages and that is not deleted, and changes it. */
  async change<T>(caller: Caller, ref: SecretRef, etag: string, work: Work<T>): Promise<T> {
    return this.changeAny(caller, ref, etag, (...found) => work(...live(found)));
  }

  /** changeAny does the same with a secret that may be deleted. */
  async changeAny<T>(caller: Caller, ref: SecretRef, etag: string, work: Work<T>): Promise<T> {
    return inTransactionFor(caller, this.#deps.knex, (trx) => this.#changeIn(trx, caller, ref, etag, work));
  }

  /** end is change for what takes a value from those who have it: it returns when no client hands it out any more. */
  async end<T>(caller: Caller, ref: SecretRef, etag: string, work: Work<T>): Promise<Propagated<T>> {
    const change = (trx: Transaction): Promise<T> =>
      this.#changeIn(trx, caller, ref, etag, (...found) => work(...live(found)));
    // Nobody but clients remembers values.
    return this.#deps.propagated.make(caller, change, () => undefined);
  }

  async #changeIn<T>(
    trx: Transaction,
    caller: Caller,
    ref: SecretRef,
    etag: string,
    work: Work<T>,
  ): Promise<T> {
    await this.claim(trx, caller);
    const found = await this.#deps.finder.lockManaged(trx, caller, ref, etag);
    const before = found.secret;
    const { secret, answer, done, more } = await work(trx, before, found.callerRights);
    await this.record(trx, caller, before, secret, done, more);
    return answer;
  }

  /** claim comes first in the transaction of a call that makes a secret: see DoneRequests. */
  claim(trx: Transaction, caller: Caller): Promise<void> {
    return this.#deps.requests.claim(trx, caller);
  }

  /** record writes what was done to a secret, and `more` besides. */
  async record(
    trx: Transaction,
    caller: Caller,
    before: Secret | undefined,
    after: Secret,
    done: readonly Done[],
    more: readonly AuditEntry[] = [],
  ): Promise<void> {
    await this.#deps.requests.done(trx, caller, {
      kind: 'secret',
      id: after.id,
      version: after.latestVersion,
    });
    const entries = [...done, ...this.#becameReady(before, after)].map((each) => doneBy(caller, each, after));
    if (entries.length > 0) await this.#deps.audit.record(trx, [...entries, ...more]);
  }

  /** #becameReady tells whether the secret's value can be had and could not before. */
  #becameReady(before: Secret | undefined, after: Secret): readonly Done[] {
    const now = presentOf(this.#deps.clock);
    const wasReady = before !== undefined && isReady(before, now);
    return !wasReady && isReady(after, now) ? [{ action: 'SECRET_READY' }] : [];
  }
}

/** live refuses a secret that is deleted. */
function live(found: Parameters<Work<unknown>>): Parameters<Work<unknown>> {
  const [, secret] = found;
  if (secret.deletedAt !== null) throw notFound('secret');
  return found;
}
