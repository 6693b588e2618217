import type { HoldFact } from '../gen/keyward/token/v1/hold_verdicts.js';
import type { Principal } from '../gen/keyward/token/v1/token.js';
import type { Moment } from './clocks.js';
import { coverAll } from './scopes.js';
import { acceptance, inactivity, refusal, type Verdict } from './verdict.js';

/** Entry is what a client holds of one text. */
export class Entry {
  /** The salted hash of the text. */
  readonly key: string;
  readonly handle: bigint;
  readonly keyId: string;
  /** Whose the token is; shared by all entries of the owner. */
  readonly owner: Principal;
  /** The stream on which it was learned: it answers under the lease of that stream, or of one opened since. */
  readonly stream: number;
  readonly expires: Moment;
  /** False once it is forgotten, for those who remember the entry. */
  isHeld = true;
  /** Whether it answered since the oldest entry was last looked for. */
  wasUsed = false;
  /** How often it let pass since the last report, and when the last time was by the monotonic clock. */
  uses = 0;
  lastUsedMs = 0;
  readonly #accepted: Verdict;
  readonly #refused: Verdict | undefined;

  constructor(key: string, fact: HoldFact, owner: Principal, stream: number, expires: Moment) {
    this.key = key;
    this.handle = fact.handle;
    this.keyId = fact.keyId;
    this.owner = owner;
    this.stream = stream;
    this.expires = expires;
    const reason = inactivity(fact);
    this.#refused = reason === undefined ? undefined : refusal(reason, fact.keyId, fact.stale);
    this.#accepted = acceptance(fact, owner);
  }

  /** judge gives the verdict on a text whose time is not over. */
  judge(requiredScopes: readonly string[]): Verdict {
    if (this.#refused !== undefined) return this.#refused;
    const accepted = this.#accepted;
    return requiredScopes.length === 0 || coverAll(accepted.scopes, requiredScopes)
      ? accepted
      : refusal('INSUFFICIENT_SCOPE', accepted.keyId, accepted.stale);
  }
}
