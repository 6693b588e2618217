import type { Clocks } from '../memory/clocks.js';
import { systemClocks } from '../transport/clock.js';

/** Timer is something that is yet to run. */
export interface Timer {
  /** cancel keeps it from running; afterwards it does nothing. */
  cancel(): void;
}

/** Timers are the clocks of a machine, and all waiting and chance of who holds a stream. */
export interface Timers extends Clocks {
  /** after runs something once, when so many milliseconds have passed. */
  after(ms: number, run: () => void): Timer;
  /** soon runs something once, when what is at hand has been done. */
  soon(run: () => void): void;
  /** random is a number from 0 to less than 1. */
  random(): number;
}

/** systemTimers are the machine's. */
export const systemTimers: Timers = {
  ...systemClocks,
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return { cancel: () => clearTimeout(timer) };
  },
  soon: (run) => {
    setImmediate(run);
  },
  random: () => Math.random(),
};
