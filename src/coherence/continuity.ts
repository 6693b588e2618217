import { within, type Timers } from '../lib/timers.js';

interface Waiting {
  readonly server: string;
  readonly resolve: () => void;
}

/**
 * Continuity is on which run of the database server this process has found everything that it had seen before. The
 * connections by which changes are made may come to a server that was started with an older copy of the data before
 * that is noticed: what its registrations say counts only afterwards.
 */
export class Continuity {
  readonly #timers: Timers;
  #server: string | undefined;
  readonly #waiting = new Set<Waiting>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** confirm is called once the server has been found to hold what was seen, or another epoch has begun there. */
  confirm(server: string): void {
    this.#server = server;
    for (const waiting of this.#waiting) if (waiting.server === server) waiting.resolve();
  }

  /** server is the confirmed one; undefined for a process that has seen nothing yet, to which any is as good. */
  get server(): string | undefined {
    return this.#server;
  }

  /** confirmed resolves once a server is confirmed. It rejects with TimedOut after some milliseconds. */
  async confirmed(server: string, ms: number): Promise<void> {
    if (this.#server === server) return;
    let resolve: () => void = () => undefined;
    const confirmed = new Promise<void>((resolved) => {
      resolve = resolved;
    });
    const waiting = { server, resolve };
    this.#waiting.add(waiting);
    try {
      await within(this.#timers, ms, 'confirming the database server', confirmed);
    } finally {
      this.#waiting.delete(waiting);
    }
  }
}
