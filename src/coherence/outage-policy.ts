import { databaseUnavailable, KeywardError } from '../lib/errors.js';
import { TimedOut, within, type Timers } from '../lib/timers.js';
import type { Lease } from './lease.js';

/** Source answers by digest: undefined where it cannot tell, null for what the database does not know. */
export interface Source<Record> {
  /** From memory. */
  lookUp(digest: string, now: number): Record | null | undefined;
  /** From the database by a query that may be under way already. */
  load(digest: string): Promise<Record | null>;
  /** From the database by a query that begins after the call. */
  ask(digest: string): Promise<Record | null>;
  /** From memory, however old; never what was changed since as far as is known here. */
  recall(digest: string): Record | undefined;
}

export interface Answer<Record> {
  readonly record: Record | null;
  /** True if it may have been changed since, and the change be complete. */
  readonly stale: boolean;
}

/** How long the database may take where memory could answer as well. */
const PATIENCE_MS = 250;

/**
 * OutagePolicy decides who answers: memory while the lease holds, otherwise the database. If the database
 * cannot, memory answers for a limited time with answers marked as stale. An unknown digest is never answered so.
 */
export class OutagePolicy<Record> {
  readonly #source: Source<Record>;
  readonly #lease: Lease;
  readonly #timers: Timers;
  readonly #limitMs: number;
  #isUnreachable = false;
  #asking = 0;

  /** `limitMs` is for how long anybody waits for the database, with the wait for other queries. */
  constructor(source: Source<Record>, lease: Lease, timers: Timers, limitMs: number) {
    this.#source = source;
    this.#lease = lease;
    this.#timers = timers;
    this.#limitMs = limitMs;
  }

  /** memory may be asked in this turn of the event loop, if the lease holds; undefined if it does not. */
  get memory(): Pick<Source<Record>, 'lookUp' | 'recall'> | undefined {
    return this.#lease.holds() ? this.#source : undefined;
  }

  /** lookUp answers from memory under the lease; undefined if the database must be asked. `now` is the wall clock. */
  lookUp(digest: string, now: number): Record | null | undefined {
    return this.memory?.lookUp(digest, now);
  }

  /** get answers in any way that is allowed. DATABASE_UNAVAILABLE if there is none. `now` is the wall clock. */
  async get(digest: string, now = this.#timers.wallMs()): Promise<Answer<Record>> {
    const remembered = this.lookUp(digest, now);
    if (remembered !== undefined) return { record: remembered, stale: false };
    const known = this.#recall(digest);
    if (known === undefined) return { record: await this.#ask(digest), stale: false };
    if (!this.#isUnreachable) return this.#askWithPatience(digest);
    // One of them finds out whether the database is back; the others need not wait.
    if (this.#asking === 0) this.#ask(digest).catch(() => undefined);
    return { record: known, stale: true };
  }

  async #askWithPatience(digest: string): Promise<Answer<Record>> {
    const asked = this.#ask(digest);
    try {
      return { record: await this.#withPatience(asked), stale: false };
    } catch (error) {
      if (!(error instanceof TimedOut) && !isUnavailable(error)) throw error;
      this.#isUnreachable = true;
      // What was known may have been changed, or the time be over, while the database was waited for.
      const known = this.#recall(digest);
      return known === undefined ? { record: await asked, stale: false } : { record: known, stale: true };
    }
  }

  /** #withPatience counts only time in which an answer would have been heard: a busy event loop is no silent database. */
  async #withPatience(asked: Promise<Record | null>): Promise<Record | null> {
    for (;;) {
      const since = this.#timers.monotonicMs();
      try {
        return await within(this.#timers, PATIENCE_MS, 'asking the database', asked);
      } catch (error) {
        const isLate = this.#timers.monotonicMs() - since > 2 * PATIENCE_MS;
        if (!(error instanceof TimedOut) || !isLate) throw error;
      }
    }
  }

  async #ask(digest: string): Promise<Record | null> {
    this.#asking += 1;
    try {
      // Without the lease nothing tells whether a query that is under way began before a complete change.
      const asked = this.#lease.holds() ? this.#source.load(digest) : this.#source.ask(digest);
      const record = await this.#answered(asked);
      this.#isUnreachable = false;
      return record;
    } catch (error) {
      if (isUnavailable(error)) this.#isUnreachable = true;
      throw error;
    } finally {
      this.#asking -= 1;
    }
  }

  async #answered(asked: Promise<Record | null>): Promise<Record | null> {
    try {
      return await within(this.#timers, this.#limitMs, 'asking the database', asked);
    } catch (error) {
      throw error instanceof TimedOut ? databaseUnavailable({ cause: error }) : error;
    }
  }

  #recall(digest: string): Record | undefined {
    return this.#lease.allowsStale() ? this.#source.recall(digest) : undefined;
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof KeywardError && error.reason === 'DATABASE_UNAVAILABLE';
}
