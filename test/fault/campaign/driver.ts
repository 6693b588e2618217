import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../../support/random.js';
import { present, type Changes, type Flippable } from './changes.js';
import type { Credential, Estate } from './estate.js';
import type { Gate } from './gate.js';

/** What a driver does next, by weight. */
const STEPS = {
  'switch a token': 30,
  'switch a token by SQL': 10,
  'switch the user': 8,
  'switch the user by SQL': 3,
  'switch the account': 8,
  'switch the account by SQL': 3,
  'expire a token': 12,
  'rotate a token': 14,
  'revoke a token and create another': 12,
} as const;
type StepName = keyof typeof STEPS;

const DECK = Object.entries(STEPS).flatMap(([name, weight]) =>
  Array<StepName>(weight).fill(name as StepName),
);
/** Between two changes, to leave some of the machine to the validations. */
const MAX_PAUSE_MS = 150;
/** What is off is switched on again, which may take more than one attempt. */
const MAX_ATTEMPTS = 3;

export interface DriverOptions {
  readonly estate: Estate;
  readonly changes: Changes;
  readonly gate: Gate;
  readonly seed: number;
  readonly replicas: number;
}

/** Driver makes one change after the other to one estate, through any replica or by SQL. */
export class Driver {
  readonly #options: DriverOptions;
  readonly #random: Random;

  constructor(options: DriverOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
  }

  async run(isOver: () => boolean): Promise<void> {
    const { estate, gate } = this.#options;
    while (!isOver()) {
      // Everything is drawn at once, so that what a step meets does not change what the next one draws.
      const step = this.#random.pick(DECK);
      const place = this.#random.below(estate.current.length);
      const through = Array.from({ length: MAX_ATTEMPTS }, () => this.#random.below(this.#options.replicas));
      const pauseMs = this.#random.below(MAX_PAUSE_MS);
      await gate.through(() => this.#take(step, present(estate.current[place]), through, pauseMs));
      await delay(pauseMs);
    }
  }

  async #take(
    step: StepName,
    credential: Credential,
    through: readonly number[],
    pauseMs: number,
  ): Promise<void> {
    const { estate, changes } = this.#options;
    const [first = 0] = through;
    const flip = (what: Flippable, places: readonly (number | 'SQL')[]) =>
      this.#offAndOn(what, places, pauseMs);
    const bySql: (number | 'SQL')[] = ['SQL', ...through.slice(1)];
    switch (step) {
      case 'switch a token':
        return flip({ kind: 'token', row: credential.row }, through);
      case 'switch a token by SQL':
        return flip({ kind: 'token', row: credential.row }, bySql);
      case 'switch the user':
        return flip({ kind: 'user', row: estate.user }, through);
      case 'switch the user by SQL':
        return flip({ kind: 'user', row: estate.user }, bySql);
      case 'switch the account':
        return flip({ kind: 'account', row: estate.account }, through);
      case 'switch the account by SQL':
        return flip({ kind: 'account', row: estate.account }, bySql);
      case 'expire a token':
        return flip({ kind: 'expiry', row: credential.row }, through);
      case 'rotate a token':
        return changes.rotate(credential, first);
      case 'revoke a token and create another':
        return changes.revoke(credential, first);
    }
  }

  /** #offAndOn switches over, and then until it is on, since most tokens should pass. */
  async #offAndOn(what: Flippable, through: readonly (number | 'SQL')[], pauseMs: number): Promise<void> {
    const { changes } = this.#options;
    for (const [attempt, place] of through.entries()) {
      if (attempt > 0 && changes.isFine(what)) return;
      await changes.flip(what, place);
      await delay(pauseMs);
    }
  }
}
