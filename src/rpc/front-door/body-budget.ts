import type { Share } from './collected-bytes.js';

/** Bytes that a caller may hold in requests that are not complete, over all connections. */
const MAX_BYTES = 6 * 1024 * 1024;
/** Bytes of all callers together. */
const MAX_BYTES_IN_ALL = 32 * 1024 * 1024;
/** Requests of a caller of which a part has come. Nearly all come whole, in one piece; each takes some ten kilobytes. */
const MAX_REQUESTS = 1000;

/** BodyBudget limits what requests that are not complete take in memory. */
export class BodyBudget {
  readonly #callers = new Map<bigint, CallerShare>();
  readonly #inAll = { bytes: 0 };

  /** of is the share of one user. */
  of(userId: bigint): CallerShare {
    const known = this.#callers.get(userId);
    if (known !== undefined) return known;
    const made = new CallerShare(this.#inAll);
    this.#callers.set(userId, made);
    return made;
  }

  /** forgetIdle forgets the callers that hold nothing. */
  forgetIdle(): void {
    for (const [userId, share] of this.#callers) if (share.isIdle) this.#callers.delete(userId);
  }
}

/** CallerShare is what one caller holds. */
export class CallerShare implements Share {
  readonly #inAll: { bytes: number };
  #bytes = 0;
  #requests = 0;

  constructor(inAll: { bytes: number }) {
    this.#inAll = inAll;
  }

  get isIdle(): boolean {
    return this.#bytes === 0 && this.#requests === 0;
  }

  take(bytes: number): boolean {
    if (
      this.#requests > MAX_REQUESTS ||
      this.#bytes + bytes > MAX_BYTES ||
      this.#inAll.bytes + bytes > MAX_BYTES_IN_ALL
    )
      return false;
    this.#bytes += bytes;
    this.#inAll.bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
    this.#inAll.bytes -= bytes;
  }

  /** begin counts a request. */
  begin(): void {
    this.#requests += 1;
  }

  /** complete counts one less. */
  complete(): void {
    this.#requests -= 1;
  }
}
