import { setTimeout } from 'node:timers/promises';
import { vi } from 'vitest';
import { z } from 'zod';
import { startKeyward, type CommandResult, type Started } from '../../../support/keyward-command.js';
import type { Random } from '../../../support/random.js';
import type { Journal } from './journal.js';

export const Note = z.object({ kind: z.string(), key: z.string(), what: z.string() });
export type Note = z.infer<typeof Note>;
const Report = z.object({
  counts: z.record(z.string(), z.record(z.string(), z.number())),
  notes: z.array(Note),
});

const BUSY = /Another import/;
/** The program has started when a command has had that share of its time. */
const STARTED = 0.4;
const WRITTEN = ['created', 'updated', 'deleted', 'merged'];

const IN_STEP = { timeout: 120_000, interval: 100 };

const DIRECTIONS = ['import', 'export'] as const;
type Direction = (typeof DIRECTIONS)[number];

/** Copiers run the commands that bring what one side did to the other, and kill some of them. */
export class Copiers {
  readonly #random: Random;
  readonly #journal: Journal;
  readonly #env: NodeJS.ProcessEnv;
  readonly #followers = new Map<Direction, Started>();
  readonly #commands: Readonly<Record<Direction, readonly string[]>>;
  /** Everything that complete runs told of. */
  readonly notes: Note[] = [];
  killed = 0;
  /** How long the last complete run took, in milliseconds. */
  #lastMs = 1000;
  completed = 0;

  constructor(
    random: Random,
    journal: Journal,
    env: NodeJS.ProcessEnv,
    platformUrl: string,
    platformKey: string,
  ) {
    this.#random = random;
    this.#journal = journal;
    this.#env = env;
    this.#commands = {
      import: ['import-smarter', '--max-deletions', '100'],
      export: ['export-smarter', '--to', platformUrl, '--secret-key', platformKey],
    };
  }

  /** once runs one command to its end. Gives how many rows it wrote. */
  async once(direction: Direction): Promise<number> {
    const { stdout } = await vi
      .waitFor(
        async () => {
          const began = performance.now();
          const result = await startKeyward([...this.#commands[direction], '--json'], { env: this.#env })
            .ended;
          // The database has not noticed yet that one was killed.
          if (BUSY.test(result.stderr)) throw new Error(result.stderr);
          this.#lastMs = performance.now() - began;
          return result;
        },
        { timeout: 60_000, interval: 200 },
      )
      .then(mustSucceed);
    const { counts, notes } = Report.parse(JSON.parse(stdout));
    this.completed += 1;
    this.notes.push(...notes);
    const outcomes = Object.values(counts).flatMap((kind) => WRITTEN.map((outcome) => kind[outcome] ?? 0));
    return outcomes.reduce((sum, count) => sum + count, 0);
  }

  /** some runs a command, and kills it half-way or not. */
  async some(): Promise<void> {
    const direction = this.#random.pick(DIRECTIONS);
    if (this.#random.chance(0.6)) {
      await this.once(direction);
      return;
    }
    const started = startKeyward([...this.#commands[direction], '--json'], { env: this.#env });
    const timer = globalThis.setTimeout(
      () => started.signal('SIGKILL'),
      this.#lastMs * (STARTED + (1 - STARTED) * this.#share()),
    );
    const { code } = await started.ended;
    clearTimeout(timer);
    if (code !== null) return;
    this.killed += 1;
    this.#journal.note(`${direction} killed: ${started.stderr()}`);
  }

  /** follow starts both commands so that they go on until `endFollowing`. */
  follow(): void {
    for (const direction of DIRECTIONS) this.#follow(direction);
  }

  /** killFollower kills one of them after a while, wherever it is by then, and starts it again. */
  async killFollower(): Promise<void> {
    const direction = this.#random.pick(DIRECTIONS);
    const follower = this.#followers.get(direction);
    if (follower === undefined) throw new Error(`nothing follows in the direction ${direction}`);
    if (this.#random.chance(0.5)) await inStep(follower);
    await setTimeout(this.#lastMs * this.#share());
    follower.signal('SIGKILL');
    await follower.ended;
    this.killed += 1;
    this.#journal.note(`${direction} killed: ${follower.stderr()}${follower.stdout()}`);
    this.#follow(direction);
  }

  /** inStep waits until both have brought everything into step that was there when they were started. */
  async inStep(): Promise<void> {
    for (const follower of this.#followers.values()) await inStep(follower);
  }

  /** told is what those say that follow. */
  get told(): string {
    const told = [...this.#followers].map(
      ([direction, follower]) => `${direction}: ${follower.stderr()}${follower.stdout()}`,
    );
    return told.join('');
  }

  /** endFollowing ends both in order. */
  async endFollowing(): Promise<void> {
    for (const follower of this.#followers.values()) {
      follower.signal('SIGTERM');
      mustSucceed(await follower.ended);
    }
    this.#followers.clear();
  }

  #share(): number {
    return this.#random.below(1000) / 1000;
  }

  #follow(direction: Direction): void {
    const follower = startKeyward([...this.#commands[direction], '--follow'], { env: this.#env });
    this.#followers.set(direction, follower);
  }
}

function inStep(follower: Started): Promise<void> {
  return vi.waitFor(() => {
    const told = follower.stderr();
    if (told.lastIndexOf('in step') <= told.lastIndexOf('failed')) throw new Error(`not in step: ${told}`);
  }, IN_STEP);
}

function mustSucceed(result: CommandResult): CommandResult {
  if (result.code !== 0) throw new Error(`it ended with ${result.code}: ${result.stderr}${result.stdout}`);
  return result;
}
