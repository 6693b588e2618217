import type { HoldFact } from '../gen/keyward/token/v1/hold_verdicts.js';
import type { Principal } from '../gen/keyward/token/v1/token.js';

/** VerdictReason is why a text may pass or not, as `keyward.token.v1.VerdictReason` without its prefix. */
export type VerdictReason =
  'OK' | 'UNKNOWN' | 'EXPIRED' | 'OWNER_INACTIVE' | 'INACTIVE' | 'ACCOUNT_INACTIVE' | 'INSUFFICIENT_SCOPE';

/** Verdict says whether a text may pass, and whose it is. */
export interface Verdict {
  /** True exactly if `reason` is OK. */
  readonly valid: boolean;
  readonly reason: VerdictReason;
  /** Of every known token, refused or not; empty if UNKNOWN. */
  readonly keyId: string;
  /** Whom the token stands for; only if `valid`, as all below. */
  readonly principal: Principal | undefined;
  readonly name: string;
  readonly scopes: readonly string[];
  /** When this text will be refused; undefined: never. */
  readonly expiresAt: Date | undefined;
  /** True if it is from a replica's memory because the database cannot be reached. */
  readonly stale: boolean;
}

/** refusal is the verdict on a text that may not pass. */
export function refusal(reason: VerdictReason, keyId: string, stale = false): Verdict {
  return {
    valid: false,
    reason,
    keyId,
    principal: undefined,
    name: '',
    scopes: [],
    expiresAt: undefined,
    stale,
  };
}

/** acceptance is the verdict on a text that passes, by what is known of it. */
export function acceptance(fact: HoldFact, principal: Principal | undefined): Verdict {
  const { keyId, name, scopes, expiresAt, stale } = fact;
  return { valid: true, reason: 'OK', keyId, principal, name, scopes, expiresAt, stale };
}

/** inactivity is why a known text does not pass whatever it is for; undefined if it does. The first that applies counts. */
export function inactivity(fact: HoldFact): VerdictReason | undefined {
  if (!fact.userIsActive) return 'OWNER_INACTIVE';
  if (!fact.isActive) return 'INACTIVE';
  return fact.accountIsActive ? undefined : 'ACCOUNT_INACTIVE';
}
