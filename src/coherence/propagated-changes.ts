import { randomUUID } from 'node:crypto';
import type { Database, Transaction } from '../db/knex.js';
import { inTransactionFor } from '../db/transaction.js';
import type { Client } from '../lib/errors.js';
import type { CoherenceMetrics } from '../telemetry/coherence-metrics.js';
import type { Barriers } from './ports.js';
import type { Propagation, PropagationWait } from './propagation.js';

/** Propagated is the result of a change, and how far the change has come. */
export interface Propagated<T> {
  readonly result: T;
  readonly propagation: Propagation;
}

/** Begun is a change that is made and may be on its way to other replicas. */
export interface Begun<T> {
  readonly result: T;
  /** seen waits until all replicas have seen it, and every change that was made before it. */
  readonly seen: () => Promise<Propagation>;
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
    const { result, seen } = await this.begin(client, work, forget);
    return { result, propagation: await seen() };
  }

  /** begin does the same without waiting. Of changes that are made in many transactions only the last is waited for. */
  async begin<T>(
    client: Client,
    work: (trx: Transaction) => Promise<T>,
    forget: (result: T) => void,
  ): Promise<Begun<T>> {
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
    return { result, seen: () => this.#wait(barrier) };
  }

  async #wait(barrier: string): Promise<Propagation> {
    const { wait, metrics } = this.#deps;
    const propagation = await wait.after(barrier);
    metrics.waited(propagation.waitedMs / 1000, propagation.complete);
    return propagation;
  }
}
