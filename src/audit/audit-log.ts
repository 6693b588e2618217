import type { Transaction } from '../db/knex.js';
import type { Clock } from '../lib/clock.js';
import { KeywardError } from '../lib/errors.js';
import { GroupCommit } from '../lib/group-commit.js';
import { instantFromMillis, type Instant } from '../lib/instant.js';
import type { AuditAction, AuditEntry, AuditResource } from './audit-entry.js';
import {
  extend,
  newChain,
  originOf,
  type AuditKeys,
  type Chain,
  type ChainHead,
  type Stamped,
} from './audit-record.js';
import type { ChainRepository } from './chain-repository.js';

export {
  actorOf,
  changedFields,
  OPERATOR,
  SERVICE,
  type AuditAction,
  type AuditEntry,
  type AuditResource,
} from './audit-entry.js';

export interface AuditLogDependencies {
  readonly chains: ChainRepository;
  readonly keys: AuditKeys;
  readonly clock: Clock;
}

const MOST_TOGETHER = 1000;

/**
 * AuditLog writes what was done, so that it can neither be lost nor changed unseen. A process has two chains of
 * records: one that its changes extend in their own transactions, so that a change and its record are there or are
 * not there together, and one that it appends to, whose head it knows without asking. Both begin with their
 * first record.
 */
export class AuditLog {
  readonly #deps: AuditLogDependencies;
  readonly #appending: GroupCommit<Stamped>;
  #changes: Chain | undefined;
  #appended: { readonly chain: Chain; readonly head: ChainHead } | undefined;

  constructor(deps: AuditLogDependencies) {
    this.#deps = deps;
    this.#appending = new GroupCommit((entries) => this.#append(entries), MOST_TOGETHER);
  }

  /**
   * record writes in the transaction of a change. It must be the last thing in it: it locks a row that all
   * changes of this process need.
   */
  async record(trx: Transaction, entries: readonly AuditEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const { chains, keys } = this.#deps;
    const occurredAt = this.#now();
    this.#changes ??= newChain(keys, 'CHANGES', occurredAt);
    const before = await chains.lockHead(trx, this.#changes);
    const stamped = entries.map((entry) => ({ entry, occurredAt }));
    const { records, head } = extend(this.#changes, before, stamped);
    await chains.extend(trx, this.#changes, head, records);
  }

  /**
   * append writes on its own, together with what others append at the same time. It resolves when the record is
   * durable, and throws DATABASE_UNAVAILABLE where it may not be.
   */
  append(entry: AuditEntry): Promise<void> {
    return this.#appending.add({ entry, occurredAt: this.#now() });
  }

  /** hasRecorded tells whether there is a record of an action on no resource in particular of a kind that has few such. */
  hasRecorded(action: AuditAction, kind: AuditResource['kind'], trx?: Transaction): Promise<boolean> {
    return this.#deps.chains.hasRecorded(action, kind, trx);
  }

  async #append(entries: readonly Stamped[]): Promise<void> {
    const { chains, keys } = this.#deps;
    const { chain, head: before } = this.#appended ?? begin(newChain(keys, 'APPENDED', this.#now()));
    // Where the outcome is not known, the head is not known either: the next records begin another chain.
    this.#appended = undefined;
    const { records, head } = extend(chain, before, entries);
    try {
      await chains.append(chain, before, head, records);
    } catch (cause) {
      if (cause instanceof KeywardError) throw cause;
      throw new KeywardError('DATABASE_UNAVAILABLE', 'The audit log cannot be written.', { cause });
    }
    this.#appended = { chain, head };
  }

  #now(): Instant {
    return instantFromMillis(this.#deps.clock.now());
  }
}

function begin(chain: Chain): { readonly chain: Chain; readonly head: ChainHead } {
  return { chain, head: originOf(chain) };
}
