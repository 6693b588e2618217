import { isatty } from 'node:tty';

/** SignalActions are what a service does when it gets a signal. */
export interface SignalActions {
  /** stop is for the first signal that asks for the end. */
  readonly stop: (signal: NodeJS.Signals) => void;
  /** force is for the second one. A third one ends the process at once. */
  readonly force: (signal: NodeJS.Signals) => void;
  /** reload is for SIGHUP where there is no terminal; with one, SIGHUP says that it was closed, and asks for the end. */
  readonly reload: () => void;
}

/** Ctrl-C under npm comes twice: from the terminal, and passed on by npm. */
const SAME_SIGNAL_MS = 1_000;

/** onSignals has the actions done from now on. Whether there is a terminal counts now: one that was closed is none. */
export function onSignals({ stop, force, reload }: SignalActions): void {
  const isOnTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor));
  const steps = [stop, force];
  let lastAt = -Infinity;
  const onEnd = (signal: NodeJS.Signals): void => {
    if (performance.now() - lastAt <= SAME_SIGNAL_MS) return;
    lastAt = performance.now();
    const step = steps.shift();
    if (step === undefined) process.exit(1);
    step(signal);
  };
  process.on('SIGINT', onEnd);
  process.on('SIGTERM', onEnd);
  process.on('SIGHUP', isOnTerminal ? onEnd : reload);
}

const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * untilSignal does some work that one of the signals breaks off which end a process: what it still does then, it
 * does before the process ends.
 */
export async function untilSignal<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const broken = new AbortController();
  const onEnd = (signal: NodeJS.Signals): void => {
    broken.abort(new Error(`broken off by ${signal}`));
  };
  for (const signal of ENDING) process.once(signal, onEnd);
  try {
    return await work(broken.signal);
  } finally {
    for (const signal of ENDING) process.removeListener(signal, onEnd);
  }
}

/** aborted resolves, or never does, when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
