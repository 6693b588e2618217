/** Both clocks of this machine, in milliseconds. */
export const systemClocks = {
  monotonicMs: (): number => performance.now(),
  wallMs: (): number => Date.now(),
};

/** The longest that a timer of Node can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** deadlineIn is the deadline of a call that begins now. The library compares it with the wall clock, and waits by a timer. */
export function deadlineIn(ms: number): number {
  return systemClocks.wallMs() + Math.min(ms, MAX_TIMER_MS);
}
