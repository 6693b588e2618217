import { setTimeout as delay } from 'node:timers/promises';
import { SERVICE, type AuditLog } from '../../audit/audit-log.js';
import type { Keyring } from '../../crypto/keyring.js';
import type { Database } from '../../db/knex.js';
import { inTransaction, reading } from '../../db/transaction.js';
import { PeriodicTask } from '../../lib/periodic-task.js';
import type { Logger } from '../../telemetry/logger.js';
import type { BindingRepository } from './binding-repository.js';
import { bind } from './binding.js';
import type { Unbound } from '../sealed-value.js';

export interface BindingServiceDependencies {
  readonly knex: Database;
  readonly bindings: BindingRepository;
  readonly keyring: Keyring;
  readonly audit: Pick<AuditLog, 'record' | 'hasRecorded'>;
  readonly logger: Logger;
}

/** With values of the largest size it is still a few megabytes. */
const BATCH = 200;

/**
 * BindingService binds the values that were stored before there were bindings. When all are bound it records so, once
 * for all processes and all times: from then on a value without a binding was put there past the service, and is bound
 * by nobody. The audit log holds that record, for there it cannot be taken away unseen.
 */
export class BindingService {
  readonly #deps: BindingServiceDependencies;
  readonly #completing = new PeriodicTask(() => this.#tryToComplete());
  #isComplete = false;
  #isFailing = false;
  #isStopped = false;

  constructor(deps: BindingServiceDependencies) {
    this.#deps = deps;
  }

  /**
   * start binds what there is to bind, at once and, where that fails, again every `intervalMs`. It returns when all is
   * done, but after `patienceMs` at the latest: what takes longer goes on in the background.
   */
  async start(intervalMs: number, patienceMs: number): Promise<void> {
    const patience = new AbortController();
    try {
      await Promise.race([
        this.#completing.run(),
        delay(patienceMs, undefined, { signal: patience.signal, ref: false }).catch(() => undefined),
      ]);
    } finally {
      patience.abort();
    }
    if (!this.#isComplete) this.#completing.start(intervalMs);
  }

  /** stop waits for the batch under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#completing.stop();
  }

  /** unbound tells what becomes of a value without a binding that is read after this was asked. */
  async unbound(): Promise<Unbound> {
    return (await this.#isRecorded()) ? 'misplaced' : 'trusted';
  }

  /** complete binds everything that has no binding, and records that, unless that was done once. */
  async complete(): Promise<void> {
    let bound = 0;
    while (!this.#isStopped && !(await this.#isRecorded())) {
      // What others have locked is passed over first, and waited for at the end.
      const count = (await this.#bindBatch('skip')) || (await this.#bindBatch('wait'));
      bound += count;
      if (count === 0) await this.#recordCompletion();
    }
    if (bound > 0) this.#deps.logger.info({ versions: bound }, 'stored values were bound to their places');
  }

  async #tryToComplete(): Promise<void> {
    if (this.#isComplete) return;
    try {
      await this.complete();
      this.#isFailing = false;
    } catch (error) {
      // It tries again every few seconds.
      if (!this.#isFailing)
        this.#deps.logger.warn({ err: error }, 'stored values could not be bound to their places yet');
      this.#isFailing = true;
    }
  }

  async #isRecorded(): Promise<boolean> {
    this.#isComplete ||= await reading(() => this.#deps.audit.hasRecorded('SECRETS_BOUND', 'keyring'));
    return this.#isComplete;
  }

  #bindBatch(whereLocked: 'skip' | 'wait'): Promise<number> {
    const { knex, bindings, keyring, audit } = this.#deps;
    return inTransaction(knex, async (trx) => {
      await bindings.lockCompletion(trx, 'bind');
      if (await audit.hasRecorded('SECRETS_BOUND', 'keyring', trx)) return 0;
      const found = await bindings.lockUnbound(trx, BATCH, whereLocked);
      if (found.length === 0) return 0;
      const bound = found.map(({ value, ...place }) => ({ ...place, binding: bind(keyring, place, value) }));
      await bindings.write(trx, bound);
      return found.length;
    });
  }

  #recordCompletion(): Promise<void> {
    const { knex, bindings, keyring, audit } = this.#deps;
    return inTransaction(knex, async (trx) => {
      await bindings.lockCompletion(trx, 'complete');
      const isDone = await audit.hasRecorded('SECRETS_BOUND', 'keyring', trx);
      if (isDone || (await bindings.anyUnbound(trx))) return;
      await audit.record(trx, [
        {
          actor: SERVICE,
          action: 'SECRETS_BOUND',
          outcome: 'OK',
          resource: { kind: 'keyring', id: null },
          detail: { key_id: keyring.primaryId },
        },
      ]);
    });
  }
}
