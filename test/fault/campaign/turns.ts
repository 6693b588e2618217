import { setTimeout as delay } from 'node:timers/promises';
import { BACK_UP, RESTORE } from '../../support/restore.js';
import type { DurablePostgres } from './durable-postgres.js';
import type { Estate } from './estate.js';
import type { Gate } from './gate.js';
import type { Recorder } from './history.js';

/** After the last change has ended: what its caller has given up may still be under way in the database for so long. */
const SETTLE_MS = 2_500;
/** A copy that is put back must be older than what every replica has seen. */
const SEEN_MS = 3_500;

export interface TurnsOptions {
  readonly postgres: DurablePostgres;
  readonly estates: readonly Estate[];
  /** What else is changed through the gate. */
  readonly others: readonly Pick<Estate, 'remember'>[];
  readonly gate: Gate;
  readonly recorder: Recorder;
}

/** Of a restore: whoever writes meanwhile, whom no gate holds back, may deadlock with it. */
const MAX_ATTEMPTS = 5;

/** Turns let the database go back to what it was, and the estates with it. */
export class Turns {
  readonly #options: TurnsOptions;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** restore puts a copy of the tables into the live database. */
  async restore(durationMs: number): Promise<void> {
    const { postgres } = this.#options;
    const takeBack = await this.#atRest(() => postgres.execute(BACK_UP));
    await delay(durationMs);
    await this.#turn(takeBack, () => repeated(() => postgres.execute(RESTORE)));
  }

  /** promote goes on with an older physical copy, on another timeline. */
  async promote(durationMs: number): Promise<void> {
    await this.#replace(durationMs, true);
  }

  /** putBack goes on with an older physical copy as if nothing had happened. */
  async putBack(durationMs: number): Promise<void> {
    await this.#replace(SEEN_MS + durationMs, false);
  }

  async #replace(durationMs: number, isPromoted: boolean): Promise<void> {
    const { postgres } = this.#options;
    const takeBack = await this.#atRest(() => postgres.copy());
    await delay(durationMs);
    await this.#turn(takeBack, () => postgres.replace(isPromoted));
  }

  /** #atRest copies while nothing is changed, and gives what takes the estates back to that moment. */
  async #atRest(copy: () => Promise<unknown>): Promise<() => void> {
    const { estates, others, gate } = this.#options;
    return gate.closed(async () => {
      const takeBack = [...estates, ...others].map((each) => each.remember());
      await copy();
      return () => {
        for (const each of takeBack) each();
      };
    });
  }

  async #turn(takeBack: () => void, turn: () => Promise<unknown>): Promise<void> {
    const { estates, gate, recorder } = this.#options;
    await gate.closed(async () => {
      await delay(SETTLE_MS);
      const startedAt = recorder.now();
      await turn();
      takeBack();
      const endedAt = recorder.now();
      for (const estate of estates) {
        const change = { what: 'take back', through: 'SQL', startedAt, endedAt } as const;
        recorder.changes.push({ ...change, result: { kind: 'committed' }, verdicts: estate.verdicts() });
      }
    });
  }
}

/** repeated does some work that can be done again until it succeeds, up to a limit. */
async function repeated<T>(work: () => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempts === MAX_ATTEMPTS) throw error;
    }
  }
}
