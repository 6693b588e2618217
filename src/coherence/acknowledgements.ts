import type { ClientCounts, ClientsTold, Head, Registered } from './ports.js';

/** Expectation is a change that waits for replicas to apply it. */
export interface Expectation {
  /** Those that have not. */
  readonly missing: ReadonlySet<string>;
  /** The clients of those that have acknowledged, as far as they told of them. */
  clients(): ClientCounts;
  /** drop gives up waiting for one. */
  drop(replica: string): void;
  /** Resolves once none is missing. */
  readonly done: Promise<void>;
  /** close ends the waiting; it must be called. */
  close(): void;
}

interface Waiting {
  readonly head: Head;
  readonly missing: Set<string>;
  readonly finish: () => void;
}

/**
 * Acknowledgements is what a writer knows of how far the others are. They tell it themselves, and what they
 * register with each renewal tells it too, should a message be lost. What was acknowledged in another epoch counts
 * for nothing.
 */
export class Acknowledgements {
  readonly #applied = new Map<string, Head>();
  /** By epoch and revision, and then by replica; what was told of first is forgotten first. */
  readonly #clients = new Map<string, Map<string, ClientCounts>>();
  readonly #waiting = new Set<Waiting>();

  /** note takes in that every change up to a head is settled at a replica. */
  note(replica: string, head: Head, clients: readonly ClientsTold[] = []): void {
    for (const told of clients) this.#count(replica, head.epoch, told);
    const known = this.#applied.get(replica);
    if (known !== undefined && covers(known, head)) return;
    this.#applied.set(replica, head);
    for (const waiting of this.#waiting) {
      if (covers(head, waiting.head)) remove(waiting, replica);
    }
  }

  /** read takes in what replicas have registered, and forgets those that are gone. */
  read({ epoch, replicas }: Pick<Registered, 'epoch' | 'replicas'>): void {
    for (const { replica, applied } of replicas) this.note(replica, { epoch, revision: applied });
    const registered = new Set(replicas.map(({ replica }) => replica));
    for (const replica of this.#applied.keys()) {
      if (!registered.has(replica)) this.#applied.delete(replica);
    }
  }

  /** clear forgets all that was acknowledged. */
  clear(): void {
    this.#applied.clear();
    this.#clients.clear();
  }

  has(replica: string, head: Head): boolean {
    const known = this.#applied.get(replica);
    return known !== undefined && covers(known, head);
  }

  /** expect waits for those of the replicas that have not applied everything up to a head. */
  expect(head: Head, replicas: readonly string[]): Expectation {
    const missing = new Set(replicas.filter((replica) => !this.has(replica, head)));
    let finish: () => void = () => undefined;
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const waiting: Waiting = { head, missing, finish };
    if (missing.size === 0) finish();
    else this.#waiting.add(waiting);
    return {
      missing,
      clients: () => this.#clientsOf(head),
      done,
      drop: (replica) => {
        remove(waiting, replica);
      },
      close: () => {
        this.#waiting.delete(waiting);
      },
    };
  }

  #count(replica: string, epoch: string, { revision, acknowledged, expired }: ClientsTold): void {
    const key = keyOf({ epoch, revision });
    const counts = this.#clients.get(key) ?? new Map<string, ClientCounts>();
    this.#clients.set(key, counts.set(replica, { acknowledged, expired }));
    const [oldest] = this.#clients.keys();
    if (this.#clients.size > MAX_COUNTED && oldest !== undefined) this.#clients.delete(oldest);
  }

  #clientsOf(head: Head): ClientCounts {
    const sum = { acknowledged: 0, expired: 0 };
    for (const { acknowledged, expired } of this.#clients.get(keyOf(head))?.values() ?? []) {
      sum.acknowledged += acknowledged;
      sum.expired += expired;
    }
    return sum;
  }
}

/** Revisions of which the clients are remembered: those whose writers may wait. */
const MAX_COUNTED = 1_000;

/** covers tells whether who has applied one head has applied another. */
function covers(one: Head, other: Head): boolean {
  return one.epoch === other.epoch && one.revision >= other.revision;
}

function keyOf({ epoch, revision }: Head): string {
  return `${epoch} ${revision}`;
}

function remove({ missing, finish }: Waiting, replica: string): void {
  if (missing.delete(replica) && missing.size === 0) finish();
}
