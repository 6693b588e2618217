import type { Timers } from '../lib/timers.js';

const WINDOW_MS = 60_000;
const MAX_TIMES = 3;
/** How long a client has no right to a lease that was too slow too often. */
const SUSPENDED_MS = 60_000;
/** Clients of which is known that they were slow; of more, those that were first are forgiven. */
const MAX_CLIENTS = 1_000;

interface Slow {
  times: number[];
  suspendedUntil: number;
}

/** Patience remembers which clients have been slow, also after they have come anew. */
export class Patience {
  readonly #timers: Timers;
  readonly #slow = new Map<string, Slow>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** strain notes that a client was slow. Three times within a minute are too often. */
  strain(client: string): void {
    const now = this.#timers.monotonicMs();
    const known = this.#slow.get(client);
    const times = [...(known?.times ?? []).filter((time) => time > now - WINDOW_MS), now];
    const isOver = times.length >= MAX_TIMES;
    this.#slow.delete(client);
    this.#slow.set(client, {
      times: isOver ? [] : times,
      suspendedUntil: isOver ? now + SUSPENDED_MS : (known?.suspendedUntil ?? -Infinity),
    });
    const [oldest] = this.#slow.keys();
    if (this.#slow.size > MAX_CLIENTS && oldest !== undefined) this.#slow.delete(oldest);
  }

  isOver(client: string): boolean {
    return (this.#slow.get(client)?.suspendedUntil ?? -Infinity) > this.#timers.monotonicMs();
  }
}
