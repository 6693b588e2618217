import type { ReplicaLease } from './ports.js';

/** Expectation is a change that waits for replicas to apply it. */
export interface Expectation {
  /** Those that have not. */
  readonly missing: ReadonlySet<string>;
  /** drop gives up waiting for one. */
  drop(replica: string): void;
  /** Resolves once none is missing. */
  readonly done: Promise<void>;
  /** close ends the waiting; it must be called. */
  close(): void;
}

interface Waiting {
  readonly revision: bigint;
  readonly missing: Set<string>;
  readonly finish: () => void;
}

/**
 * Acknowledgements is what a writer knows of how far the others are. They tell it themselves, and what they
 * register with each renewal tells it too, should a message be lost.
 */
export class Acknowledgements {
  readonly #applied = new Map<string, bigint>();
  readonly #waiting = new Set<Waiting>();

  /** note takes in that a replica has applied every change up to `revision`. */
  note(replica: string, revision: bigint): void {
    if (revision <= (this.#applied.get(replica) ?? -1n)) return;
    this.#applied.set(replica, revision);
    for (const waiting of this.#waiting) {
      if (revision >= waiting.revision) remove(waiting, replica);
    }
  }

  /** read takes in what replicas have registered, and forgets those that are gone. */
  read(replicas: readonly ReplicaLease[]): void {
    for (const { replica, applied } of replicas) this.note(replica, applied);
    const registered = new Set(replicas.map(({ replica }) => replica));
    for (const replica of this.#applied.keys()) {
      if (!registered.has(replica)) this.#applied.delete(replica);
    }
  }

  has(replica: string, revision: bigint): boolean {
    return (this.#applied.get(replica) ?? -1n) >= revision;
  }

  /** expect waits for those of the replicas that have not applied `revision`. */
  expect(revision: bigint, replicas: readonly string[]): Expectation {
    const missing = new Set(replicas.filter((replica) => !this.has(replica, revision)));
    let finish: () => void = () => undefined;
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const waiting: Waiting = { revision, missing, finish };
    if (missing.size === 0) finish();
    else this.#waiting.add(waiting);
    return {
      missing,
      done,
      drop: (replica) => {
        remove(waiting, replica);
      },
      close: () => {
        this.#waiting.delete(waiting);
      },
    };
  }
}

function remove({ missing, finish }: Waiting, replica: string): void {
  if (missing.delete(replica) && missing.size === 0) finish();
}
