import type { Share } from './collected-bytes.js';

/** Bytes that a caller may hold in requests that are not complete, over all connections. */
const MOST_BYTES = 6 * 1024 * 1024;
/** Bytes of all callers together. */
const MOST_BYTES_IN_ALL = 32 * 1024 * 1024;
/** Requests of a caller that are not complete. Nearly all come with their headers; each takes some ten kilobytes. */
const MOST_REQUESTS = 1000;

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
  /** Streams of messages, which have no end to wait for. */
  #conversations = 0;

  constructor(inAll: { bytes: number }) {
    this.#inAll = inAll;
  }

  get isIdle(): boolean {
    return this.#bytes === 0 && this.#requests === 0 && this.#conversations === 0;
  }

  take(bytes: number): boolean {
    if (this.#bytes + bytes > MOST_BYTES || this.#inAll.bytes + bytes > MOST_BYTES_IN_ALL) return false;
    this.#bytes += bytes;
    this.#inAll.bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
    this.#inAll.bytes -= bytes;
  }

  /** begin counts a request; false if there are too many that are not complete. */
  begin(isConversation: boolean): boolean {
    if (isConversation) {
      this.#conversations += 1;
      return true;
    }
    if (this.#requests >= MOST_REQUESTS) return false;
    this.#requests += 1;
    return true;
  }

  /** complete counts one less. */
  complete(isConversation: boolean): void {
    if (isConversation) this.#conversations -= 1;
    else this.#requests -= 1;
  }
}
