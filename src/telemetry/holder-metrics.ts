import { Counter, Gauge, type Registry } from 'prom-client';

/** HolderUse is what is read of the clients whenever somebody looks. */
export interface HolderUse {
  /** Clients whose streams are open. */
  readonly clients: number;
  /** Tokens and values that they hold. */
  readonly entries: number;
}

/** Labels of clients that are told apart; all later ones are `other`. */
const MAX_LABELS = 100;
const OTHER = 'other';

/** HolderMetrics tell of the clients that hold verdicts in memories of their own. */
export class HolderMetrics {
  readonly #registry: Registry;
  readonly #invalidations: Counter;
  readonly #waits: Counter<'label'>;
  readonly #refusals: Counter<'reason'>;
  readonly #labels = new Set<string>();

  constructor(registry: Registry) {
    const registers = [registry];
    this.#registry = registry;
    this.#invalidations = new Counter({
      name: 'keyward_holder_invalidations_total',
      help: 'Times that a client was told to forget something.',
      registers,
    });
    this.#waits = new Counter({
      name: 'keyward_holder_waits_total',
      help: 'Times that a client had not acknowledged in time what it was told, by its label; of the 101st on, other.',
      labelNames: ['label'],
      registers,
    });
    this.#refusals = new Counter({
      name: 'keyward_holder_leases_refused_total',
      help: 'Leases that were not granted to clients, by reason.',
      labelNames: ['reason'],
      registers,
    });
  }

  /** watch shows the clients from now on; call it once. */
  watch(use: () => HolderUse): void {
    const registers = [this.#registry];
    new Gauge({
      name: 'keyward_holder_clients',
      help: 'Clients that hold verdicts in memories of their own.',
      registers,
      collect() {
        this.set(use().clients);
      },
    });
    new Gauge({
      name: 'keyward_holder_entries',
      help: 'Tokens and values of secrets that they hold.',
      registers,
      collect() {
        this.set(use().entries);
      },
    });
  }

  invalidated(): void {
    this.#invalidations.inc();
  }

  strained(label: string): void {
    this.#waits.inc({ label: this.#known(label) });
  }

  refused(reason: string): void {
    this.#refusals.inc({ reason });
  }

  #known(label: string): string {
    if (this.#labels.size < MAX_LABELS) this.#labels.add(label);
    return this.#labels.has(label) ? label : OTHER;
  }
}
