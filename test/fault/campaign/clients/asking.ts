import { setTimeout as delay } from 'node:timers/promises';
import type { KeywardCallError, KeywardClient, Validator, Verdict } from '@keyward/client';
import { machineNow } from '../../../support/machine-clock.js';
import { Random } from '../../../support/random.js';
import type { Answer } from '../history.js';
import type { ClientOptions, Known } from './commands.js';
import { askAtAStretch, type Said } from './said.js';

const OUTAGES: ReadonlySet<string> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED']);
/** One of so many stretches is about a token that somebody changes. */
const CHANGED_EVERY = 3;

/** Asking asks a validator about one credential after the other, first its memory alone. */
export class Asking {
  readonly #client: KeywardClient;
  readonly #validator: Validator;
  readonly #options: ClientOptions;
  readonly #random: Random;
  /** How to ask memory, by credential. */
  readonly #asks = new Map<number, () => Verdict | undefined>();
  readonly #answers = new Map<string, Answer>();
  /** Credentials that are being asked for by a call. */
  readonly #underWay = new Set<number>();
  #known: readonly Known[] = [];
  #said: Said[] = [];
  #isOver = false;

  constructor(client: KeywardClient, validator: Validator, options: ClientOptions) {
    this.#client = client;
    this.#validator = validator;
    this.#options = options;
    this.#random = new Random(options.seed);
  }

  know(known: readonly Known[]): void {
    this.#known = known;
    const numbers = new Set(known.map(({ number }) => number));
    for (const number of this.#asks.keys()) if (!numbers.has(number)) this.#asks.delete(number);
  }

  follow(known: readonly Known[]): void {
    for (const each of known) this.#ask(each);
  }

  isHeld(known: Known): boolean {
    return this.#askOf(known)() !== undefined;
  }

  async run(): Promise<void> {
    while (!this.#isOver) {
      const isChanged = this.#random.below(CHANGED_EVERY) === 0;
      const known = this.#known.filter(({ isBystander }) => isBystander !== isChanged);
      if (known.length > 0) this.#ask(this.#random.pick(known));
      await delay(this.#options.paceMs);
    }
  }

  /** taken is what was said since it was taken last. */
  taken(): Said[] {
    return this.#said.splice(0);
  }

  finish(): void {
    this.#isOver = true;
    this.#validator.close();
    this.#client.close();
  }

  #ask(known: Known): void {
    const { number } = known;
    const ask = this.#askOf(known);
    const fromMemory = () => {
      const verdict = ask();
      return verdict && this.#answerOf(verdict);
    };
    const { stretch } = this.#options;
    const said = askAtAStretch(number, fromMemory, stretch, machineNow);
    this.#said.push(...said);
    const isHeld = said.reduce((count, each) => count + each.count, 0) === stretch;
    if (!isHeld && !this.#underWay.has(number)) void this.#askByCall(known);
  }

  async #askByCall({ number, plaintext }: Known): Promise<void> {
    this.#underWay.add(number);
    const startedAt = machineNow();
    const answer = await this.#validator
      .validate(plaintext)
      .then((verdict) => this.#answerOf(verdict), toFailure);
    this.#underWay.delete(number);
    const spans = [{ startedAt, endedAt: machineNow() }] as const;
    if (!this.#isOver) this.#said.push({ credential: number, isFromMemory: false, answer, spans, count: 1 });
  }

  /** #askOf: every second credential is bound, as that of a connection that is kept alive. */
  #askOf({ number, plaintext }: Known): () => Verdict | undefined {
    const known = this.#asks.get(number);
    if (known !== undefined) return known;
    const validator = this.#validator;
    const bound = number % 2 === 0 ? validator.bind(plaintext) : undefined;
    const ask = bound ? () => bound.validateCached() : () => validator.validateCached(plaintext);
    this.#asks.set(number, ask);
    return ask;
  }

  #answerOf({ valid, reason, stale }: Verdict): Answer {
    const key = `${valid} ${reason} ${stale}`;
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const answer = { verdict: reason, valid, stale };
    this.#answers.set(key, answer);
    return answer;
  }
}

/** toFailure tells the code of an outage, and of whatever else all that is known. */
function toFailure(error: unknown): Answer {
  const { codeName: name = 'no code', message } = error as Partial<KeywardCallError>;
  return { failure: OUTAGES.has(name) ? name : `${name}: ${message ?? String(error)}` };
}
