import type { Verdict } from '../memory/verdict.js';
import { KeywardCallError } from '../transport/call-error.js';
import { StatusCode } from '../transport/status-code.js';
import type { BoundText, Validator } from '../validator/validator.js';

/** What a client is told to wait where the service does not say. */
const RETRY_AFTER_MS = 1_000;

/** Refused is what a request is answered that may not pass, by RFC 6750. */
export interface Refused {
  readonly statusCode: 401 | 403 | 503;
  readonly headers: Readonly<Record<string, string>>;
  /** The code of RFC 6750; empty where no credentials were presented, and for 503. */
  readonly error: string;
  readonly message: string;
}

/** Decision is the verdict on a request, or how it is refused. */
export type Decision = { readonly verdict: Verdict } | { readonly refused: Refused };

/** Judging says what a request must present. */
export interface Judging {
  readonly scopes: readonly string[];
  readonly realm: string;
}

interface Remembered {
  readonly text: string;
  readonly bound: BoundText;
}

/** Decider judges the credentials of requests. What a connection presents again and again is hashed once. */
export class Decider {
  readonly #validator: Validator;
  readonly #byConnection = new WeakMap<object, Remembered>();

  constructor(validator: Validator) {
    this.#validator = validator;
  }

  /**
   * decide judges the value of a header `authorization`.
   *
   * @throws KeywardCallError (INVALID_ARGUMENT) where the scopes are none: that is a fault of the program
   */
  async decide(
    authorization: string | undefined,
    connection: object | undefined,
    { scopes, realm }: Judging,
  ): Promise<Decision> {
    const text = /^bearer +(.*)$/is.exec(authorization ?? '')?.[1];
    if (text === undefined) return { refused: unauthorized(realm, '', 'Credentials are required.') };
    try {
      return decisionOf(await this.#judge(text, connection, scopes), scopes, realm);
    } catch (error) {
      if (!(error instanceof KeywardCallError) || error.code === StatusCode.INVALID_ARGUMENT) throw error;
      return { refused: undecided(error) };
    }
  }

  #judge(text: string, connection: object | undefined, scopes: readonly string[]): Promise<Verdict> {
    if (connection === undefined) return this.#validator.validate(text, { scopes });
    const before = this.#byConnection.get(connection);
    if (before?.text === text) return before.bound.validate({ scopes });
    const bound = this.#validator.bind(text);
    before?.bound.release();
    this.#byConnection.set(connection, { text, bound });
    return bound.validate({ scopes });
  }
}

function decisionOf(verdict: Verdict, scopes: readonly string[], realm: string): Decision {
  if (verdict.valid) return { verdict };
  if (verdict.reason !== 'INSUFFICIENT_SCOPE')
    return { refused: unauthorized(realm, 'invalid_token', 'The credentials are refused.') };
  const challenge = `${challengeOf(realm, 'insufficient_scope')}, scope="${scopes.join(' ')}"`;
  return {
    refused: {
      statusCode: 403,
      headers: { 'www-authenticate': challenge },
      error: 'insufficient_scope',
      message: 'The credentials lack a scope that is needed.',
    },
  };
}

function unauthorized(realm: string, error: string, message: string): Refused {
  return { statusCode: 401, headers: { 'www-authenticate': challengeOf(realm, error) }, error, message };
}

function challengeOf(realm: string, error: string): string {
  const quoted = realm.replace(/["\\]/g, '\\$&');
  return `Bearer realm="${quoted}"${error === '' ? '' : `, error="${error}"`}`;
}

/** undecided: nobody can tell whether the credentials pass. Whoever has good ones must not be told that they are bad. */
function undecided({ retryAfterMs = RETRY_AFTER_MS }: KeywardCallError): Refused {
  return {
    statusCode: 503,
    headers: { 'retry-after': String(Math.max(Math.ceil(retryAfterMs / 1000), 1)) },
    error: '',
    message: 'The credentials cannot be judged at present.',
  };
}

const verdicts = new WeakMap<object, Verdict>();

/** verdictOf is the verdict on a request that a middleware let pass; for gRPC, on its metadata. */
export function verdictOf(request: object): Verdict | undefined {
  return verdicts.get(request);
}

export function rememberVerdict(request: object, verdict: Verdict): void {
  verdicts.set(request, verdict);
}
