import { areScopes } from '../lib/scopes.js';
import { Violations } from '../lib/violations.js';
import type { Handler } from '../rpc/handlers.js';
import { answerOf, toBatchMessage, toMessage } from './validate-codec.js';
import type { ValidationCounts } from './validation-counts.js';
import type { Presented, Verdict, Verdicts } from './verdicts.js';

const MAX_REQUESTS = 1000;
/** A text over 1 KiB is UNKNOWN, which is an answer: only what nobody could take for a token is refused. */
const MAX_REQUEST_BYTES = 128 * 1024;
/** A thousand texts of 1 KiB, with many scopes for each. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
/** What memory does not know takes some three kilobytes for each text of eighty bytes until the database has answered. */
const BATCH_EXPANSION = 16;
const VALIDATE = 'keyward.tokens.validate';
/** Hundreds of validations share a statement, and gateways have thousands under way when memory is empty. */
export const VALIDATE_WEIGHT = 2;

export interface ValidateHandlers {
  readonly validateToken: Handler<Presented, Buffer>;
  readonly batchValidateTokens: Handler<Presented[], Buffer>;
  readonly streamValidateTokens: Handler<Presented, Buffer>;
}

/** validateHandlers answer with encoded messages, from memory wherever it can, and count their answers. */
export function validateHandlers(verdicts: Verdicts, counts: ValidationCounts): ValidateHandlers {
  const handler = new ValidateHandler(verdicts, counts);
  const one: Handler<Presented, Buffer> = {
    permission: VALIDATE,
    maxRequestBytes: MAX_REQUEST_BYTES,
    servesStaleCallers: true,
    weight: VALIDATE_WEIGHT,
    handle: (request) => handler.validate(request),
    answerFromMemory: (request) => handler.answerFromMemory(request),
  };
  return {
    validateToken: one,
    streamValidateTokens: one,
    batchValidateTokens: {
      permission: VALIDATE,
      maxRequestBytes: MAX_BATCH_BYTES,
      expansion: BATCH_EXPANSION,
      servesStaleCallers: true,
      handle: (requests) => handler.validateBatch(requests),
      answerFromMemory: (requests) => handler.answerBatchFromMemory(requests),
    },
  };
}

class ValidateHandler {
  readonly #verdicts: Verdicts;
  readonly #counts: ValidationCounts;

  constructor(verdicts: Verdicts, counts: ValidationCounts) {
    this.#verdicts = verdicts;
    this.#counts = counts;
  }

  /** answerFromMemory answers from memory; undefined if the database must be asked or the request be refused. */
  answerFromMemory(request: Presented): Buffer | undefined {
    if (!isWellFormed(request)) return undefined;
    const verdict = this.#verdicts.judgeFromMemory(request.token, request.requiredScopes);
    return verdict && toMessage(this.#answer(verdict));
  }

  /** answerBatchFromMemory answers from memory if that can answer all of them. */
  answerBatchFromMemory(requests: readonly Presented[]): Buffer | undefined {
    if (requests.length === 0 || requests.length > MAX_REQUESTS) return undefined;
    if (!requests.every(isWellFormed)) return undefined;
    const verdicts = this.#verdicts.judgeAllFromMemory(requests);
    return verdicts && toBatchMessage(verdicts.map((verdict) => this.#answer(verdict)));
  }

  async validate(request: Presented): Promise<Buffer> {
    const v = new Violations();
    checkPresented(v, '', request);
    v.throwIfAny();
    return toMessage(this.#answer(await this.#verdict(request)));
  }

  async validateBatch(requests: readonly Presented[]): Promise<Buffer> {
    const v = new Violations();
    v.check(requests.length > 0, 'requests', 'must not be empty');
    v.check(requests.length <= MAX_REQUESTS, 'requests', `must be at most ${MAX_REQUESTS}`);
    if (!v.any) requests.forEach((request, index) => checkPresented(v, `requests[${index}].`, request));
    v.throwIfAny();
    const verdicts = await this.#verdicts.validateAll(requests);
    return toBatchMessage(verdicts.map((verdict) => this.#answer(verdict)));
  }

  #answer(verdict: Verdict): string {
    this.#counts[verdict.reason] += 1;
    return answerOf(verdict);
  }

  #verdict({ token, requiredScopes }: Presented): Promise<Verdict> {
    return this.#verdicts.validate(token, requiredScopes);
  }
}

function isWellFormed({ requiredScopes }: Presented): boolean {
  return requiredScopes.length === 0 || areScopes(requiredScopes);
}

function checkPresented(v: Violations, prefix: string, { requiredScopes }: Presented): void {
  const rule = 'must be at most 64, each of [a-z0-9_.:/*-]{1,128}';
  v.check(areScopes(requiredScopes), `${prefix}required_scopes`, rule);
}
