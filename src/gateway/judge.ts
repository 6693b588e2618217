import type { ValidationCounts } from '../token/validation-counts.js';
import type { VerdictReason } from '../token/verdict.js';
import { isPassing, type Passing, type Verdict, type Verdicts } from '../token/verdicts.js';
import type { Credential } from './credential.js';

/** The scope that a gateway needs. */
export const JUDGING = 'keyward.tokens.validate';

/** Question is what a gateway asks about a request of one of its clients. */
export interface Question {
  /** undefined where the client presented nothing. */
  readonly credential: Credential | undefined;
  readonly requiredScopes: readonly string[];
}

/** Ruling is the answer: the request passes as whom, or why it does not. */
export type Ruling =
  | { readonly passing: Passing; readonly credential: Credential }
  | {
      readonly passing: undefined;
      readonly why: 'NOT_PRESENTED' | Exclude<VerdictReason, 'OK'>;
      /** That of a key which is known. */
      readonly verdict: Verdict | undefined;
    };

const NOT_PRESENTED: Ruling = { passing: undefined, why: 'NOT_PRESENTED', verdict: undefined };
const NO_TOKEN: Ruling = { passing: undefined, why: 'UNKNOWN', verdict: undefined };

/** Judge answers gateways by the verdicts that ValidateToken gives, and counts them with those. */
export class Judge {
  readonly #verdicts: Pick<Verdicts, 'judgeFromMemory' | 'validate'>;
  readonly #counts: ValidationCounts;

  constructor(verdicts: Pick<Verdicts, 'judgeFromMemory' | 'validate'>, counts: ValidationCounts) {
    this.#verdicts = verdicts;
    this.#counts = counts;
  }

  /** ruleFromMemory answers at once; undefined if the database must be asked. */
  ruleFromMemory({ credential, requiredScopes }: Question): Ruling | undefined {
    if (credential === undefined) return NOT_PRESENTED;
    if (credential.token === undefined) return NO_TOKEN;
    const verdict = this.#verdicts.judgeFromMemory(credential.token, requiredScopes);
    return verdict && this.#count(verdict, credential);
  }

  /** rule answers from memory or from the database. DATABASE_UNAVAILABLE if neither can tell. */
  async rule({ credential, requiredScopes }: Question): Promise<Ruling> {
    if (credential === undefined) return NOT_PRESENTED;
    if (credential.token === undefined) return NO_TOKEN;
    return this.#count(await this.#verdicts.validate(credential.token, requiredScopes), credential);
  }

  #count(verdict: Verdict, credential: Credential): Ruling {
    this.#counts[verdict.reason] += 1;
    if (isPassing(verdict)) return { passing: verdict, credential };
    const why = verdict.reason as Exclude<VerdictReason, 'OK'>;
    return { passing: undefined, why, verdict };
  }
}
