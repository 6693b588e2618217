/** Calls that are worked on at once. Each takes some thirty kilobytes; those that memory answers are none of them. */
export const MAX_CALLS = 2_000;
/** Bytes of their requests: what is made of a batch takes many times as much. */
export const MAX_REQUEST_BYTES = 32 * 1024 * 1024;

/** WorkUnderWay limits the calls that a process works on at once, whoever calls. */
export class WorkUnderWay {
  #calls = 0;
  #bytes = 0;

  get calls(): number {
    return this.#calls;
  }

  /** begin gives what must be run when the call has ended; undefined if it may not begin. One alone always may. */
  begin(bytes: number): (() => void) | undefined {
    if (this.#calls >= MAX_CALLS) return undefined;
    if (this.#calls > 0 && this.#bytes + bytes > MAX_REQUEST_BYTES) return undefined;
    this.#calls += 1;
    this.#bytes += bytes;
    return () => {
      this.#calls -= 1;
      this.#bytes -= bytes;
    };
  }
}
