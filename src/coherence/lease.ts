import type { Timers } from '../lib/timers.js';
import type { Head, LeaseTerms } from './ports.js';

/** TTL_MS is how long a lease lasts by the database's clock. */
export const TTL_MS = 3_000;
/** Part of a span by which clocks may disagree over it: of what is registered, the holder leaves that much unused. */
const DISAGREEMENT = 1 / 30;
const USED_TTL_MS = TTL_MS * (1 - DISAGREEMENT);

/** Moment is one moment by both clocks. */
interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

const NEVER: Moment = { monotonicMs: -Infinity, wallMs: -Infinity };

/**
 * Lease is the right to answer from memory. It counts from when its renewal was sent, so it ends before the
 * database, and with it any writer, believes so; by the monotonic clock, and also by the wall clock, which
 * goes on where a machine was suspended.
 */
export class Lease {
  readonly #timers: Timers;
  readonly #maxStaleMs: number;
  #end = NEVER;
  /** When the renewal was sent that it lasts by. */
  #sent = NEVER;
  #isOver = false;

  /** `maxStaleMs` is how long after its end memory may still be asked, for answers marked as stale. */
  constructor(timers: Timers, maxStaleMs: number) {
    this.#timers = timers;
    this.#maxStaleMs = maxStaleMs;
  }

  /** terms are what a renewal registers. */
  terms(applied: Head | undefined): LeaseTerms {
    return { ttlMs: TTL_MS, maxStaleMs: registeredStaleMs(this.#maxStaleMs), applied };
  }

  /** moment is taken before a renewal is sent. */
  moment(): Moment {
    return { monotonicMs: this.#timers.monotonicMs(), wallMs: this.#timers.wallMs() };
  }

  /** extend makes the lease last from the moment at which its renewal was sent. */
  extend(sent: Moment): void {
    if (this.#isOver) return;
    this.#sent = sent;
    this.#end = { monotonicMs: sent.monotonicMs + USED_TTL_MS, wallMs: sent.wallMs + USED_TTL_MS };
  }

  /** giveUp ends the lease for good, and with it all answers from memory. */
  giveUp(): void {
    this.#isOver = true;
    this.lapse();
  }

  /** lapse ends the lease until it is extended, and with it all answers from memory. */
  lapse(): void {
    this.#end = NEVER;
  }

  /** holds is checked on every answer from memory. */
  holds(): boolean {
    return this.#timers.monotonicMs() < this.#end.monotonicMs && this.#timers.wallMs() < this.#end.wallMs;
  }

  /** leftMs is for how long it still holds, by the clock by which it is over first; 0 if it does not. */
  leftMs(): number {
    const { monotonicMs, wallMs } = this.#end;
    return Math.max(0, Math.min(monotonicMs - this.#timers.monotonicMs(), wallMs - this.#timers.wallMs()));
  }

  /** isRenewedSince tells whether the renewal that it lasts by was sent after a moment of the monotonic clock. */
  isRenewedSince(monotonicMs: number): boolean {
    return this.#sent.monotonicMs > monotonicMs;
  }

  /** allowsStale tells whether memory may be asked for an answer that is marked as stale. */
  allowsStale(): boolean {
    const { monotonicMs, wallMs } = this.#end;
    return (
      this.#maxStaleMs > 0 &&
      this.#timers.monotonicMs() < monotonicMs + this.#maxStaleMs &&
      this.#timers.wallMs() < wallMs + this.#maxStaleMs
    );
  }
}

/** lentMs is what may be granted to others of a span: their clocks may disagree as well. */
export function lentMs(spanMs: number): number {
  return spanMs * (1 - DISAGREEMENT);
}

/** registeredStaleMs is more than what is used, by what clocks may disagree. */
export function registeredStaleMs(maxStaleMs: number): number {
  return maxStaleMs * (1 + DISAGREEMENT);
}
