import { setTimeout as delay } from 'node:timers/promises';
import {
  ValidateTokenRequest,
  type ValidateTokenResponse,
} from '../../../src/gen/keyward/token/v1/token_service.js';
import { VerdictReason } from '../../../src/gen/keyward/token/v1/token.js';
import { Random } from '../../support/random.js';
import { CallFailed, type Caller } from './caller.js';
import type { Credential, Estate } from './estate.js';
import type { Answer, Change, Recorder } from './history.js';

/** Calls under way at every replica at any time, besides those that follow a change. */
const LOOPS = 3;
/** One of so many questions is about a token that nobody changes. */
const BYSTANDER_EVERY = 6;
/** After a failure, so that a replica that refuses at once is not asked without end. */
const PAUSE_MS = 30;

export interface AskerOptions {
  /** Of a caller that may validate, one for each replica. */
  readonly callers: readonly Caller[];
  readonly estates: readonly Estate[];
  readonly bystanders: readonly Credential[];
  readonly recorder: Recorder;
  readonly seed: number;
  /** Between one question of a loop and its next. */
  readonly pauseMs: number;
}

/** Asker validates, and records every answer. */
export class Asker {
  readonly #options: AskerOptions;
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: AskerOptions) {
    this.#options = options;
  }

  /** run asks all replicas without pause, in several loops each. */
  async run(isOver: () => boolean): Promise<void> {
    const loops = this.#options.callers.flatMap((_caller, replica) =>
      Array.from({ length: LOOPS }, (_loop, loop) => this.#loop(replica, loop, isOver)),
    );
    await Promise.all(loops);
  }

  /** settled waits for the questions that follow changes. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  /** follow asks all replicas what a change must have changed, the moment that it says so, and by when it says so. */
  follow({ result }: Change, credentials: readonly Credential[]): void {
    this.#askAll(credentials);
    if (result.kind !== 'incomplete') return;
    const leftMs = result.effectiveBy - this.#options.recorder.now() + 2;
    this.#track(delay(leftMs).then(() => this.#askAll(credentials)));
  }

  #askAll(credentials: readonly Credential[]): void {
    for (const replica of this.#options.callers.keys())
      for (const credential of credentials) this.#track(this.#ask(replica, credential).then(() => undefined));
  }

  #track(work: Promise<void>): void {
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
  }

  async #loop(replica: number, loop: number, isOver: () => boolean): Promise<void> {
    const { estates, bystanders, seed, pauseMs } = this.#options;
    const random = new Random(seed + 100 * replica + loop);
    while (!isOver()) {
      const isBystander = random.below(BYSTANDER_EVERY) === 0;
      const credential = random.pick(isBystander ? bystanders : random.pick(estates).credentials);
      const answer = await this.#ask(replica, credential);
      if ('failure' in answer) await delay(PAUSE_MS);
      if (pauseMs > 0) await delay(pauseMs);
    }
  }

  async #ask(replica: number, { number, plaintext }: Credential): Promise<Answer> {
    const { callers, recorder } = this.#options;
    const caller = callers[replica];
    if (caller === undefined) throw new Error('no such replica');
    const request = ValidateTokenRequest.fromPartial({ token: plaintext });
    const startedAt = recorder.now();
    const answer = await caller
      .call(caller.tokens.validateToken.bind(caller.tokens), request)
      .then(toAnswer, toFailure);
    recorder.validated({ credential: number, replica, startedAt, endedAt: recorder.now(), answer });
    return answer;
  }
}

/** toAnswer is what a response says. */
export function toAnswer({
  valid,
  reason,
  stale,
}: Pick<ValidateTokenResponse, 'valid' | 'reason' | 'stale'>): Answer {
  return { verdict: VerdictReason[reason].replace('VERDICT_REASON_', ''), valid, stale };
}

function toFailure(error: unknown): Answer {
  if (!(error instanceof CallFailed)) throw error;
  return { failure: error.code };
}
