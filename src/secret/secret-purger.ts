import { SERVICE, type AuditLog } from '../audit/audit-log.js';
import type { Database } from '../db/knex.js';
import { inTransaction } from '../db/transaction.js';
import type { Clock } from '../lib/clock.js';
import { presentOf } from '../lib/instant.js';
import { PeriodicTask } from '../lib/periodic-task.js';
import type { Logger } from '../telemetry/logger.js';
import { resourceOf } from './secret-audit.js';
import type { SecretRepository } from './secret-repository.js';

export interface SecretPurgerDependencies {
  readonly knex: Database;
  readonly secrets: SecretRepository;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const BATCH = 100;

/** SecretPurger removes deleted secrets for good when their time has come. */
export class SecretPurger {
  readonly #deps: SecretPurgerDependencies;
  readonly #purging = new PeriodicTask(() => this.#tryToPurge());
  #isStopped = false;

  constructor(deps: SecretPurgerDependencies) {
    this.#deps = deps;
  }

  /** start purges every `intervalMs`, until stopped. What fails is tried again then. */
  start(intervalMs: number): void {
    this.#purging.start(intervalMs);
  }

  /** stop waits for the batch under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#purging.stop();
  }

  /** purge removes all secrets that are due, in batches, and returns how many there were. */
  async purge(): Promise<number> {
    let purged = 0;
    for (let count = BATCH; count === BATCH && !this.#isStopped; purged += count) {
      count = await this.#purgeBatch();
    }
    return purged;
  }

  async #tryToPurge(): Promise<void> {
    try {
      const purged = await this.purge();
      if (purged > 0) this.#deps.logger.info({ secrets: purged }, 'deleted secrets were removed for good');
    } catch (error) {
      this.#deps.logger.warn({ err: error }, 'deleted secrets could not be removed');
    }
  }

  #purgeBatch(): Promise<number> {
    const { knex, secrets, audit, clock } = this.#deps;
    return inTransaction(knex, async (trx) => {
      const due = await secrets.lockDue(trx, presentOf(clock), BATCH);
      await secrets.remove(
        trx,
        due.map(({ id }) => id),
      );
      await audit.record(
        trx,
        due.map((secret) => ({
          actor: SERVICE,
          action: 'SECRET_PURGED',
          outcome: 'OK',
          resource: resourceOf(secret),
          detail: {},
        })),
      );
      return due.length;
    });
  }
}
