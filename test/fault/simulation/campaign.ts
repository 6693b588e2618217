import { extent } from '../../support/extent.js';
import { Simulation, type Result } from './simulation.js';
import type { Parts } from './simulated-replica.js';

const MAX_SEED = 2 ** 31;

/** Seed of the first schedule, each further one has the next. SIM_SEED replays one alone. */
export const REPLAYED = process.env['SIM_SEED'] === undefined ? undefined : Number(process.env['SIM_SEED']);
export const FIRST_SEED = REPLAYED ?? Date.now() % MAX_SEED;
/** Enough for every broken variant to be caught. */
export const MAX_SCHEDULES = 10_000;
export const SCHEDULES = REPLAYED === undefined ? extent('SIM_SCHEDULES', 120, MAX_SCHEDULES) : 1;

/** Finding is a schedule in which the protocol failed. */
interface Finding {
  readonly seed: number;
  readonly problem: string;
}

export interface Campaign {
  readonly schedules: number;
  readonly finding: Finding | undefined;
  readonly counts: Omit<Result, 'fingerprint' | 'problem'>;
}

/** simulate runs one schedule after the other until one fails. */
export async function simulate(first: number, schedules: number, parts: Parts = {}): Promise<Campaign> {
  const counts = {
    answers: 0,
    staleAnswers: 0,
    clientAnswers: 0,
    clientValues: 0,
    changes: 0,
    complete: 0,
    faults: 0,
  };
  const { stackTraceLimit } = Error;
  // Thousands of errors are part of the schedules; nobody reads where they were made.
  Error.stackTraceLimit = 0;
  try {
    for (let done = 0; done < schedules; done += 1) {
      const seed = first + done;
      const log = seed === REPLAYED ? console.log : undefined;
      const result = await new Simulation(seed, parts, log).run();
      for (const key of Object.keys(counts) as (keyof typeof counts)[]) {
        counts[key] += result[key];
      }
      const { problem } = result;
      if (problem !== undefined) return { schedules: done + 1, finding: { seed, problem }, counts };
      // Everything else in this process has its turn between two schedules.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { schedules, finding: undefined, counts };
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
