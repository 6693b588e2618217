/** Calls that are worked on at once. Each takes some thirty kilobytes; those that memory answers are none of them. */
export const MAX_CALLS = 2_000;
/** Streams that are open at once, which last but mostly wait. */
export const MAX_STREAMS = 4_000;
/** Bytes of their requests: what is made of a batch takes many times as much. */
export const MAX_REQUEST_BYTES = 32 * 1024 * 1024;

/** WorkUnderWay limits the calls that a process works on at once, whoever calls. */
export class WorkUnderWay {
  readonly #most: number;
  #calls = 0;
  #bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get calls(): number {
    return this.#calls;
  }

  /** begin gives the work that it counts until nobody holds it any more; undefined if it may not begin. One alone always may. */
  begin(bytes: number): Work | undefined {
    if (this.#calls >= this.#most) return undefined;
    if (this.#calls > 0 && this.#bytes + bytes > MAX_REQUEST_BYTES) return undefined;
    this.#calls += 1;
    this.#bytes += bytes;
    return new Work(() => {
      this.#calls -= 1;
      this.#bytes -= bytes;
    });
  }
}

/** Work is one call: its stream holds it and who works on it, which may take longer where the client does not wait. */
export class Work {
  readonly #end: () => void;
  #holds = 0;
  #hasEnded = false;

  constructor(end: () => void) {
    this.#end = end;
  }

  /** hold gives what must be run once, when the holder is done. */
  hold(): () => void {
    this.#holds += 1;
    return () => {
      this.#holds -= 1;
      if (this.#holds > 0 || this.#hasEnded) return;
      this.#hasEnded = true;
      this.#end();
    };
  }
}
