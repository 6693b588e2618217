import { PeriodicTask } from '../lib/periodic-task.js';
import type { Logger } from '../telemetry/logger.js';

/** Pruned is what holds rows that are kept for a time. */
export interface Pruned {
  prune(): Promise<void>;
}

/** Pruner deletes, now and then, what is kept no longer. */
export class Pruner {
  readonly #pruned: Pruned;
  readonly #what: string;
  readonly #logger: Pick<Logger, 'warn'>;
  readonly #pruning = new PeriodicTask(() => this.#prune());

  /** `what` names the rows in the log, in the plural. */
  constructor(pruned: Pruned, what: string, logger: Pick<Logger, 'warn'>) {
    this.#pruned = pruned;
    this.#what = what;
    this.#logger = logger;
  }

  /** start prunes every `intervalMs`, until stopped. What fails is tried again then. */
  start(intervalMs: number): void {
    this.#pruning.start(intervalMs);
  }

  /** stop waits for what is under way. */
  stop(): Promise<void> {
    return this.#pruning.stop();
  }

  async #prune(): Promise<void> {
    try {
      await this.#pruned.prune();
    } catch (error) {
      this.#logger.warn({ err: error }, `old ${this.#what} could not be deleted`);
    }
  }
}
