/** Clock is the only source of time; tests pass one they can turn by hand. */
export interface Clock {
  /** now is the wall clock in milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
}

/** systemClock reads the machine's clock. It is the one place in `src` that may. */
export const systemClock: Clock = {
  now: () => Date.now(),
};
