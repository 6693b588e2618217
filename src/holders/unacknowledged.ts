import type { Step } from './settlement.js';

/** How long a client may take to acknowledge. */
export const ACKNOWLEDGE_WITHIN_MS = 250;

/** Told is an invalidation that is not acknowledged. */
interface Told {
  readonly number: bigint;
  /** When the lease is over that the client had when it was told: one that is granted later comes after it. */
  readonly leaseEnd: number;
  /** Undefined where nobody waits for it, or not any more. */
  step: Step | undefined;
  lateAt: number;
  isLate: boolean;
}

type Release = (step: Step, outcome: 'acknowledged' | 'expired') => void;

/** Unacknowledged are the invalidations that a client was told and has not acknowledged, in their order. */
export class Unacknowledged {
  readonly #release: Release;
  #told: Told[] = [];
  #last = 0n;

  constructor(release: Release) {
    this.#release = release;
  }

  get size(): number {
    return this.#told.length;
  }

  /** last is the number of the latest that was told. */
  get last(): bigint {
    return this.#last;
  }

  /** isLate tells whether any should have been acknowledged by now. */
  get isLate(): boolean {
    return this.#told.some(({ isLate }) => isLate);
  }

  /** nextMs is when it must be looked at again; Infinity for never. */
  nextMs(isLive: boolean): number {
    const expires = this.#told.find(({ step }) => step !== undefined)?.leaseEnd;
    const late = isLive ? this.#told.find(({ isLate }) => !isLate)?.lateAt : undefined;
    return Math.min(expires ?? Infinity, late ?? Infinity);
  }

  /** add numbers the next one. A step waits for it. */
  add(nowMs: number, leaseEnd: number, step: Step | undefined): bigint {
    if (step !== undefined) step.waiting += 1;
    this.#last += 1n;
    const lateAt = nowMs + ACKNOWLEDGE_WITHIN_MS;
    this.#told.push({ number: this.#last, leaseEnd, step, lateAt, isLate: false });
    return this.#last;
  }

  /** acknowledge takes off all up to one. */
  acknowledge(number: bigint): void {
    const done = this.#told.filter((each) => each.number <= number);
    this.#told = this.#told.slice(done.length);
    for (const { step } of done) if (step !== undefined) this.#release(step, 'acknowledged');
  }

  /** endStream lets those go that nobody waits for: none will be acknowledged. */
  endStream(): void {
    this.#told = this.#told.filter(({ step }) => step !== undefined);
  }

  /** expire gives up waiting where the lease is over. */
  expire(nowMs: number): void {
    for (const told of this.#told) {
      const { step } = told;
      if (step === undefined || told.leaseEnd > nowMs) continue;
      told.step = undefined;
      this.#release(step, 'expired');
    }
  }

  /** markLate tells whether the first of all has become late. */
  markLate(nowMs: number): boolean {
    const wasLate = this.isLate;
    for (const told of this.#told) if (told.lateAt <= nowMs) told.isLate = true;
    return !wasLate && this.isLate;
  }

  /** forgive counts anew: while nothing ran here, nobody could be heard either. */
  forgive(nowMs: number): void {
    for (const told of this.#told)
      if (told.lateAt <= nowMs && !told.isLate) told.lateAt = nowMs + ACKNOWLEDGE_WITHIN_MS;
  }
}
