/** Clock is the only source of time; tests pass one they can turn by hand. */
export interface Clock {
  /** now is the wall clock in milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
}

/**
 * isFresh tells whether what was to last for `spanMs` is not over, by a clock that may have been set. Where that was put
 * back, more than the span seems to be left: then nobody knows how old it is.
 */
export function isFresh(until: number, spanMs: number, now: number): boolean {
  const left = until - now;
  return left > 0 && left <= spanMs;
}

/** systemClock reads the machine's clock. It is the one place in `src` that may. */
export const systemClock: Clock = {
  now: () => Date.now(),
};
