import type { HoldGrant, HoldPosition } from '../gen/keyward/token/v1/hold_verdicts.js';
import { after, isOver, isOverAt, momentOf, type Clocks, type Moment } from './clocks.js';

interface Renewals {
  next: bigint;
  /** When those were sent that are not answered. */
  readonly sent: Map<bigint, Moment>;
}

/** Renewals that may be unanswered at a time. */
const MAX_UNANSWERED = 64;

/**
 * Lease is until when a client may answer from memory. It counts from before its renewal was sent, by whichever clock is over first.
 *
 * What was learned on a stream is registered with the replica of that stream, and with those that it was named to since. So a
 * lease counts for what was learned on its own stream or on one before, and not for what a later one brought.
 */
export class Lease {
  readonly #clocks: Clocks;
  readonly #renewals = new Map<number, Renewals>();
  #streams = 0;
  #granted = 0;
  #until: Moment = { monotonicMs: -Infinity, wallMs: -Infinity };
  #position: HoldPosition | undefined;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
  }

  /** The last stream that granted a lease: entries of it and of those before it count while the lease is held. */
  get stream(): number {
    return this.#granted;
  }

  /** The stream that was opened last. */
  get newest(): number {
    return this.#streams;
  }

  /** Up to where everything that the client holds is right. */
  get position(): HoldPosition | undefined {
    return this.#position;
  }

  get isHeld(): boolean {
    return !isOver(this.#until, this.#clocks);
  }

  /** coversAt tells, at a time by both clocks, whether what was learned on a stream may be answered by. */
  coversAt(stream: number, monotonicMs: number, wallMs: number): boolean {
    return stream <= this.#granted && !isOverAt(this.#until, monotonicMs, wallMs);
  }

  /** open begins a stream. */
  open(): number {
    this.#streams += 1;
    this.#renewals.set(this.#streams, { next: 1n, sent: new Map() });
    return this.#streams;
  }

  end(stream: number): void {
    this.#renewals.delete(stream);
  }

  /** renew notes the time before a renewal is sent, and gives its number. */
  renew(stream: number): bigint {
    const renewals = this.#renewals.get(stream);
    if (renewals === undefined) throw new Error('the stream has ended');
    const number = renewals.next;
    renewals.next += 1n;
    renewals.sent.set(number, momentOf(this.#clocks));
    const [oldest] = renewals.sent.keys();
    if (renewals.sent.size > MAX_UNANSWERED && oldest !== undefined) renewals.sent.delete(oldest);
    return number;
  }

  /** granted takes the answer to a renewal. It tells whether a lease was granted. */
  granted(stream: number, { number, lease, position }: HoldGrant): boolean {
    const sent = this.#renewals.get(stream)?.sent;
    const from = sent?.get(number);
    sent?.delete(number);
    // What a stream grants that has been followed by another one counts for less than that other's.
    if (from === undefined || lease === undefined || stream < this.#granted) return false;
    const until = after(from, lease);
    const isLater = until.monotonicMs > this.#until.monotonicMs;
    if (stream > this.#granted || isLater) this.#until = until;
    this.#granted = stream;
    this.#position = position ?? this.#position;
    return true;
  }

  /** advance takes the position of an invalidation that was applied. */
  advance(stream: number, position: HoldPosition | undefined): void {
    if (stream === this.#granted && position !== undefined) this.#position = position;
  }

  /** drop gives the lease up. What is held is right up to no position any more. */
  drop(): void {
    this.#until = { monotonicMs: -Infinity, wallMs: -Infinity };
    this.#position = undefined;
  }
}
