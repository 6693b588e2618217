import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** CoherenceState is read whenever somebody looks, since a lease ends without anything happening. */
export interface CoherenceState {
  readonly holdsLease: () => boolean;
  /** Revision of the change feed up to which changes have been applied. */
  readonly revisionApplied: () => bigint;
}

const WAITS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 5];

/** CoherenceMetrics tell how well this replica keeps up with changes, and how long its own take to be seen by all. */
export class CoherenceMetrics {
  readonly #registry: Registry;
  readonly #waits: Histogram<'complete'>;
  readonly #acknowledgements: Counter<'direction'>;
  readonly #reconnects: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#registry = registry;
    this.#waits = new Histogram({
      name: 'keyward_coherence_propagation_seconds',
      help: 'Seconds that calls waited until their change was seen by all replicas, by whether it was.',
      labelNames: ['complete'],
      buckets: WAITS_SECONDS,
      registers,
    });
    this.#acknowledgements = new Counter({
      name: 'keyward_coherence_acknowledgements_total',
      help: 'Acknowledgements of changes, sent to other replicas or received from them.',
      labelNames: ['direction'],
      registers,
    });
    this.#reconnects = new Counter({
      name: 'keyward_coherence_reconnects_total',
      help: 'Times that the session which listens for changes was lost and made anew.',
      registers,
    });
  }

  /** watch shows a state from now on; call it once. */
  watch({ holdsLease, revisionApplied }: CoherenceState): void {
    const registers = [this.#registry];
    new Gauge({
      name: 'keyward_coherence_lease_held',
      help: 'How many processes hold their lease, and so may answer from memory.',
      registers,
      collect() {
        this.set(holdsLease() ? 1 : 0);
      },
    });
    new Gauge({
      name: 'keyward_coherence_revision_applied',
      help: 'Revision up to which changes have been applied; of several workers, the least.',
      registers,
      aggregator: 'min',
      collect() {
        this.set(Number(revisionApplied()));
      },
    });
  }

  /** waited records how long a call waited for its change to be seen by all. */
  waited(seconds: number, complete: boolean): void {
    this.#waits.observe({ complete: String(complete) }, seconds);
  }

  acknowledged(direction: 'sent' | 'received'): void {
    this.#acknowledgements.inc({ direction });
  }

  reconnected(): void {
    this.#reconnects.inc();
  }
}
