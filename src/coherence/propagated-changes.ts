import { randomUUID } from 'node:crypto';
import type { Database, Transaction } from '../db/knex.js';
import { inTransactionFor, type Client } from '../db/transaction.js';
import type { CoherenceMetrics } from '../telemetry/coherence-metrics.js';
import type { Barriers } from './ports.js';
import type { Propagation, PropagationWait } from './propagation.js';

/** Propagated is the result of a change, and how far the change has come. */
export interface Propagated<T> {
  readonly result: T;
  readonly propagation: Propagation;
}

/** Batch is a part of a change that takes more than one transaction. */
export interface Batch {
  readonly isLast: boolean;
}

export interface PropagatedChangesDependencies {
  readonly knex: Database;
  /** Id of the replica that makes the changes. */
  readonly replica: string;
  readonly barriers: Barriers;
  readonly wait: Pick<PropagationWait, 'after'>;
  readonly metrics: Pick<CoherenceMetrics, 'waited'>;
}

/** PropagatedChanges makes changes that verdicts depend on. */
export class PropagatedChanges {
  readonly #deps: PropagatedChangesDependencies;

  constructor(deps: PropagatedChangesDependencies) {
    this.#deps = deps;
  }

  /**
   * make runs `work` in one transaction, as inTransactionFor does, and returns when all replicas have seen what it did.
   * It waits even if nothing was changed: an earlier change that made it so may still be on its way. While it waits
   * it holds no connection.
   */
  async make<T>(
    client: Client,
    work: (trx: Transaction) => Promise<T>,
    forget: (result: T) => void,
  ): Promise<Propagated<T>> {
    const { result, barrier } = await this.#commit(client, work, forget);
    return { result, propagation: await this.#wait(barrier) };
  }

  /**
   * makeInBatches makes a change of any size: it runs `work` again and again, as make does, each time in a transaction of
   * its own and with what the time before gave, until a batch is the last. It waits once, at the end, and gives that.
   * What is committed stays so where a later batch fails: `work` must be able to begin with whatever it finds.
   */
  async makeInBatches<T extends Batch>(
    client: Client,
    work: (trx: Transaction, before: T | undefined) => Promise<T>,
    forget: (batch: T) => void,
  ): Promise<Propagated<T>> {
    let before: T | undefined;
    for (;;) {
      const { result, barrier } = await this.#commit(client, (trx) => work(trx, before), forget);
      if (result.isLast) return { result, propagation: await this.#wait(barrier) };
      before = result;
    }
  }

  async #commit<T>(
    client: Client,
    work: (trx: Transaction) => Promise<T>,
    forget: (result: T) => void,
  ): Promise<{ readonly result: T; readonly barrier: string }> {
    const { knex, replica, barriers } = this.#deps;
    const barrier = randomUUID();
    const result = await inTransactionFor(
      client,
      knex,
      async (trx) => {
        await barriers.place(trx, barrier, replica);
        return work(trx);
      },
      forget,
    );
    return { result, barrier };
  }

  async #wait(barrier: string): Promise<Propagation> {
    const { wait, metrics } = this.#deps;
    const propagation = await wait.after(barrier);
    metrics.waited(propagation.waitedMs / 1000, propagation.complete);
    return propagation;
  }
}
