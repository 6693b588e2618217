import { Buffer } from 'node:buffer';

/** Share is what somebody may hold of bodies that are not complete. */
export interface Share {
  /** take returns false if the bytes would be too many. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

const NOTHING = Buffer.alloc(0);
const LEAST_CAPACITY = 512;

/**
 * CollectedBytes puts the pieces of a body together in memory of its own. The pieces themselves must not be kept: each is a part of
 * what was read from the socket at once, and keeps up to 64 KiB in memory however small it is.
 */
export class CollectedBytes {
  #share: Share;
  #memory: Buffer = NOTHING;
  #length = 0;
  #most = Infinity;

  constructor(share: Share) {
    this.#share = share;
  }

  /** bytes are those so far. They are overwritten by what comes after `reset`. */
  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  /** expect tells how many bytes there will be in all. */
  expect(bytes: number): void {
    this.#most = bytes;
  }

  /** append returns false if the share has no room for the piece. */
  append(piece: Buffer): boolean {
    const needed = this.#length + piece.length;
    if (needed > this.#memory.length && !this.#grow(needed)) return false;
    piece.copy(this.#memory, this.#length);
    this.#length = needed;
    return true;
  }

  /** moveTo lets another share bear what is held. Returns false if that has no room for it. */
  moveTo(share: Share): boolean {
    if (!share.take(this.#memory.length)) return false;
    this.#share.give(this.#memory.length);
    this.#share = share;
    return true;
  }

  /** dropFirst forgets the first bytes, and keeps the others. */
  dropFirst(count: number): void {
    const rest = Buffer.from(this.bytes.subarray(count));
    this.release();
    this.append(rest);
  }

  /** release forgets everything. */
  release(): void {
    this.#share.give(this.#memory.length);
    this.#memory = NOTHING;
    this.#length = 0;
  }

  #grow(needed: number): boolean {
    const capacity = Math.max(
      needed,
      Math.min(this.#most, Math.max(2 * this.#memory.length, LEAST_CAPACITY)),
    );
    if (!this.#share.take(capacity - this.#memory.length)) return false;
    // Not from the pool that buffers share: it may be a secret.
    const memory = Buffer.allocUnsafeSlow(capacity);
    this.bytes.copy(memory);
    this.#memory = memory;
    return true;
  }
}

/** LimitedShare is a share with a limit of its own. */
export class LimitedShare implements Share {
  readonly #most: number;
  #held = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get held(): number {
    return this.#held;
  }

  take(bytes: number): boolean {
    if (this.#held + bytes > this.#most) return false;
    this.#held += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}
