/** Calls that are worked on at once. Each takes some thirty kilobytes; those that memory answers are none of them. */
export const MAX_CALLS = 2_000;
/** Streams that are open at once, which last but mostly wait. */
export const MAX_STREAMS = 4_000;
/** Bytes that their requests count for. */
export const MAX_REQUEST_BYTES = 32 * 1024 * 1024;

/** LoadLimit limits the calls that a process works on at once, whoever calls. */
export class LoadLimit {
  readonly #most: number;
  #calls = 0;
  #bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get calls(): number {
    return this.#calls;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** begin gives the work that it counts until nobody holds it any more; undefined if it may not begin. */
  begin(bytes: number): Work | undefined {
    if (this.#calls >= this.#most || !this.#hasRoom(bytes, this.#calls)) return undefined;
    this.#calls += 1;
    this.#bytes += bytes;
    return new Work(this, bytes);
  }

  /** grow counts more bytes for a call that has begun. False, and nothing is counted, if there is no room for them. */
  grow(bytes: number): boolean {
    if (!this.#hasRoom(bytes, this.#calls - 1)) return false;
    this.#bytes += bytes;
    return true;
  }

  shrink(bytes: number): void {
    this.#bytes -= bytes;
  }

  end(bytes: number): void {
    this.#calls -= 1;
    this.#bytes -= bytes;
  }

  /** One alone may be of any length. */
  #hasRoom(bytes: number, others: number): boolean {
    return others === 0 || this.#bytes + bytes <= MAX_REQUEST_BYTES;
  }
}

/** Work is one call: its stream holds it and who works on it, which may take longer where the client does not wait. */
export class Work {
  readonly #limit: LoadLimit;
  #bytes: number;
  #holds = 0;
  #hasEnded = false;

  constructor(limit: LoadLimit, bytes: number) {
    this.#limit = limit;
    this.#bytes = bytes;
  }

  /** reach lets the call count for so many bytes in all. False if there is no room for what that is more. */
  reach(bytes: number): boolean {
    const more = bytes - this.#bytes;
    if (more <= 0) return true;
    if (!this.#limit.grow(more)) return false;
    this.#bytes = bytes;
    return true;
  }

  /** take lets the call count for more bytes for a while, and gives what takes them off again; undefined if there is no room. */
  take(bytes: number): (() => void) | undefined {
    if (!this.#limit.grow(bytes)) return undefined;
    return () => {
      this.#limit.shrink(bytes);
    };
  }

  /** hold gives what must be run once, when the holder is done. */
  hold(): () => void {
    this.#holds += 1;
    return () => {
      this.#holds -= 1;
      if (this.#holds > 0 || this.#hasEnded) return;
      this.#hasEnded = true;
      this.#limit.end(this.#bytes);
    };
  }
}
