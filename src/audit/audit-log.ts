/**
 * `audit/` writes who did what to which resource, and how it ended, into a chain of hashes that shows what was changed,
 * removed or inserted. A change is recorded in its own transaction; an access to a value before the value leaves.
 *
 *     await audit.record(trx, [{ actor, action: 'TOKEN_DELETED', outcome: 'OK', resource, detail: {} }]);
 *     await audit.append({ actor, action: 'SECRET_ACCESSED', outcome: 'OK', resource, detail });
 */

import type { Transaction } from '../db/knex.js';
import { Batcher, writing } from '../lib/batcher.js';
import { AppendingWriter } from './appending-writer.js';
import type { Actor, AuditAction, AuditEntry, AuditResource } from './audit-entry.js';
import { KEY_PURPOSE, type Stamped } from './audit-record.js';
import { now, type ChainWriterDependencies } from './chain-writer.js';
import { ChangesWriter } from './changes-writer.js';
import { retirementEntry } from './retirement.js';

export {
  actorOf,
  changedFields,
  OPERATOR,
  SERVICE,
  type AuditAction,
  type AuditEntry,
  type AuditResource,
} from './audit-entry.js';

const MAX_TOGETHER = 1000;

/**
 * AuditLog writes what was done, so that it can neither be lost nor changed unseen. A process has chains of
 * records that its changes extend in their own transactions, so that a change and its record are there or are
 * not there together, and one that it appends to. A chain begins with its first record, and its head is kept in
 * memory: where a chain is not as this process left it, another one begins, and tells of it.
 */
export class AuditLog {
  readonly #deps: ChainWriterDependencies;
  readonly #changes: ChangesWriter;
  readonly #appender: AppendingWriter;
  readonly #appending: Batcher<Stamped, void>;

  constructor(deps: ChainWriterDependencies) {
    this.#deps = deps;
    this.#changes = new ChangesWriter(deps);
    this.#appender = new AppendingWriter(deps);
    this.#appending = new Batcher(
      writing((entries) => this.#appender.append(entries)),
      { maxItems: MAX_TOGETHER },
    );
  }

  /**
   * record writes in the transaction of a change. It must be the last thing in it: what it writes follows from
   * what the transaction has done. A roll-back must come from an error, or it is taken for a commit.
   */
  async record(trx: Transaction, entries: readonly AuditEntry[]): Promise<void> {
    if (entries.length === 0) return;
    await this.#changes.record(trx, entries);
    this.#appender.dropNumbers();
  }

  /**
   * append writes on its own, together with what others append at the same time. It resolves when the record is
   * durable, and throws DATABASE_UNAVAILABLE where it may not be.
   */
  append(entry: AuditEntry): Promise<void> {
    return this.#appending.add({ entry, occurredAt: now(this.#deps) });
  }

  /** hasRecorded tells whether there is a record of an action on no resource in particular of a kind that has few such. */
  hasRecorded(action: AuditAction, kind: AuditResource['kind'], trx?: Transaction): Promise<boolean> {
    return this.#deps.chains.hasRecorded(action, kind, trx);
  }

  /**
   * retireOlderKeys records that the keys which were first before the present one are so no more: a chain that is
   * written with one of them from now on is forged. It records nothing while a replica may still have one of them
   * first. It comes last in its transaction, as record does.
   */
  async retireOlderKeys(trx: Transaction, actor: Actor): Promise<void> {
    const { chains, keys } = this.#deps;
    const { keyId } = keys.derive(KEY_PURPOSE);
    const retired = await chains.olderKeys(trx, keyId);
    if (retired.length > 0) await this.record(trx, [retirementEntry(actor, keyId, retired)]);
  }
}
