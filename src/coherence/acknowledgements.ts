import type { Head, Registered } from './ports.js';

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
  readonly #waiting = new Set<Waiting>();

  /** note takes in that a replica has applied every change up to a head. */
  note(replica: string, head: Head): void {
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

/** covers tells whether who has applied one head has applied another. */
function covers(one: Head, other: Head): boolean {
  return one.epoch === other.epoch && one.revision >= other.revision;
}

function remove({ missing, finish }: Waiting, replica: string): void {
  if (missing.delete(replica) && missing.size === 0) finish();
}
