import { systemClock } from './clock.js';

/** Timer is something that is yet to run. */
export interface Timer {
  /** cancel keeps it from running; afterwards it does nothing. */
  cancel(): void;
}

/** Timers is the only source of measured spans, of waiting and of chance; tests turn theirs by hand. */
export interface Timers {
  /** Milliseconds since some moment. Never steps; stands still while the machine is suspended. */
  monotonicMs(): number;
  /** Milliseconds since 1970. Goes on while the machine is suspended; may be set to another time. */
  wallMs(): number;
  /** after runs something once, not before `ms` milliseconds of the monotonic clock have passed. */
  after(ms: number, run: () => void): Timer;
  /** random is a number from 0 to less than 1. */
  random(): number;
}

/** MAX_TIMER_MS is what Node's timers hold, almost 25 days; a longer one would run at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** timerMs is as much of a span in milliseconds as a timer holds. */
function timerMs(ms: number): number {
  return Math.min(Math.ceil(ms), MAX_TIMER_MS);
}

/** systemTimers are the machine's. What waits does not keep the process alive. */
export const systemTimers: Timers = {
  monotonicMs: () => performance.now(),
  wallMs: () => systemClock.now(),
  after: (ms, run) => {
    const dueMs = performance.now() + ms;
    let timer: NodeJS.Timeout;
    // Node counts from a clock of whole milliseconds, and is up to one of them early.
    const wait = (): void => {
      const leftMs = dueMs - performance.now();
      timer = setTimeout(() => (performance.now() < dueMs ? wait() : run()), timerMs(leftMs)).unref();
    };
    wait();
    return {
      cancel: () => {
        clearTimeout(timer);
      },
    };
  },
  random: () => Math.random(),
};

/** TimedOut is what did not come in time. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut';
}

/** within is the result of `work`, or TimedOut once `ms` milliseconds have passed; the work itself goes on. */
export async function within<T>(timers: Timers, ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: Timer | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = timers.after(ms, () => {
      reject(new TimedOut(`${what} took more than ${ms} ms`));
    });
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    timer?.cancel();
  }
}
