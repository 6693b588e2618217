import { areScopes } from '../lib/scopes.js';
import { Violations } from '../lib/violations.js';
import type { Handler } from '../rpc/handlers.js';
import { answerOf, toBatchMessage, toMessage, type Presented } from './validate-codec.js';
import type { Verdicts } from './verdicts.js';

const MOST_REQUESTS = 1000;
const VALIDATE = 'keyward.tokens.validate';

export interface ValidateHandlers {
  readonly validateToken: Handler<Presented, Buffer>;
  readonly batchValidateTokens: Handler<Presented[], Buffer>;
}

/** validateHandlers answer with encoded messages, from memory wherever it can. */
export function validateHandlers(verdicts: Verdicts): ValidateHandlers {
  const handler = new ValidateHandler(verdicts);
  return {
    validateToken: {
      permission: VALIDATE,
      handle: (request) => handler.validate(request),
      peek: (request) => handler.peek(request),
    },
    batchValidateTokens: {
      permission: VALIDATE,
      handle: (requests) => handler.validateBatch(requests),
      peek: (requests) => handler.peekBatch(requests),
    },
  };
}

class ValidateHandler {
  readonly #verdicts: Verdicts;

  constructor(verdicts: Verdicts) {
    this.#verdicts = verdicts;
  }

  /** peek answers from memory; undefined if the database must be asked or the request be refused. */
  peek(request: Presented): Buffer | undefined {
    const answer = this.#peekAnswer(request);
    return answer === undefined ? undefined : toMessage(answer);
  }

  /** peekBatch answers from memory if that can answer all of them. */
  peekBatch(requests: readonly Presented[]): Buffer | undefined {
    if (requests.length === 0 || requests.length > MOST_REQUESTS) return undefined;
    const answers: string[] = [];
    for (const request of requests) {
      const answer = this.#peekAnswer(request);
      if (answer === undefined) return undefined;
      answers.push(answer);
    }
    return toBatchMessage(answers);
  }

  async validate(request: Presented): Promise<Buffer> {
    const v = new Violations();
    checkPresented(v, '', request);
    v.throwIfAny();
    return toMessage(await this.#answer(request));
  }

  async validateBatch(requests: readonly Presented[]): Promise<Buffer> {
    const v = new Violations();
    v.check(requests.length > 0, 'requests', 'must not be empty');
    v.check(requests.length <= MOST_REQUESTS, 'requests', `must be at most ${MOST_REQUESTS}`);
    if (!v.any) requests.forEach((request, index) => checkPresented(v, `requests[${index}].`, request));
    v.throwIfAny();
    return toBatchMessage(await Promise.all(requests.map((request) => this.#answer(request))));
  }

  async #answer(request: Presented): Promise<string> {
    return answerOf(await this.#verdicts.validate(request.token, request.requiredScopes));
  }

  #peekAnswer({ token, requiredScopes }: Presented): string | undefined {
    if (requiredScopes.length > 0 && !areScopes(requiredScopes)) return undefined;
    const verdict = this.#verdicts.peek(token, requiredScopes);
    return verdict === undefined ? undefined : answerOf(verdict);
  }
}

function checkPresented(v: Violations, prefix: string, { requiredScopes }: Presented): void {
  const rule = 'must be at most 64, each of [a-z0-9_.:/*-]{1,128}';
  v.check(areScopes(requiredScopes), `${prefix}required_scopes`, rule);
}
