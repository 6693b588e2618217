import { Repetition } from '../lib/repetition.js';
import type { Logger } from '../telemetry/logger.js';

/** FeedPruner deletes, now and then, what the change feed keeps no longer. */
export class FeedPruner {
  readonly #feed: { prune(): Promise<void> };
  readonly #logger: Pick<Logger, 'warn'>;
  readonly #pruning = new Repetition(() => this.#prune());

  constructor(feed: { prune(): Promise<void> }, logger: Pick<Logger, 'warn'>) {
    this.#feed = feed;
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
      await this.#feed.prune();
    } catch (error) {
      this.#logger.warn({ err: error }, 'old changes could not be deleted');
    }
  }
}
