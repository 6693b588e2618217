import type { CachedOwner } from './verdict-cache.js';
import type { Instant } from '../lib/instant.js';
import { millisFromInstant } from '../lib/instant.js';
import { ALL_SCOPES, firstNotCovered } from '../lib/scopes.js';
import type { Digest } from '../crypto/digest.js';
import type { TokenOwner } from './token.js';

/** Reason of a verdict, as `keyward.token.v1.VerdictReason` names it without its prefix. */
export type VerdictReason =
  'OK' | 'UNKNOWN' | 'EXPIRED' | 'OWNER_INACTIVE' | 'INACTIVE' | 'ACCOUNT_INACTIVE' | 'INSUFFICIENT_SCOPE';

/** KnownReason is the reason of a verdict on a known digest. */
export type KnownReason = Exclude<VerdictReason, 'UNKNOWN'>;

/** VerdictFacts is what the database knows about one digest. */
export interface VerdictFacts {
  readonly digest: Digest;
  readonly tokenId: bigint;
  readonly keyId: string;
  readonly name: string;
  readonly isActive: boolean;
  /** When this plaintext is refused: the token's expiry or the end of its grace, whichever is earlier. */
  readonly expiresAt: Instant | null;
  readonly createdAt: Instant;
  readonly scopes: readonly string[];
  readonly owner: TokenOwner & { readonly userIsActive: boolean; readonly accountIsActive: boolean };
}

/**
 * VerdictRecord is what a replica remembers of a known digest: facts, not a verdict. Time, owner, account
 * and scopes are judged on every use.
 */
export class VerdictRecord {
  readonly tokenId: bigint;
  readonly isActive: boolean;
  /** Milliseconds since 1970, microseconds as a fraction; Infinity for never. */
  readonly expiresAt: number;
  /** Whole seconds since 1970 at which the token was made. */
  readonly createdAt: number;
  readonly scopes: readonly string[];
  readonly owner: CachedOwner;
  readonly staleAt: number;
  /** The encoded answer for the verdict OK, one character for each byte. */
  readonly answer: string;
  /** When the token last passed and that was not yet written, in milliseconds; 0 for not. */
  usedAt = 0;

  constructor(facts: VerdictFacts, owner: CachedOwner, staleAt: number, answer: string) {
    this.tokenId = facts.tokenId;
    this.isActive = facts.isActive;
    this.expiresAt = facts.expiresAt === null ? Infinity : millisFromInstant(facts.expiresAt);
    this.createdAt = Math.floor(millisFromInstant(facts.createdAt) / 1000);
    // Most tokens may do everything; one array for all of them saves 80 bytes each.
    this.scopes = facts.scopes.length === 1 && facts.scopes[0] === ALL_SCOPES[0] ? ALL_SCOPES : facts.scopes;
    this.owner = owner;
    this.staleAt = staleAt;
    this.answer = answer;
  }
}

/** judge gives the verdict on a known digest: the first that applies, in the order of the protocol. */
export function judge(record: VerdictRecord, requiredScopes: readonly string[], now: number): KnownReason {
  if (record.expiresAt < now) return 'EXPIRED';
  if (!record.owner.userIsActive) return 'OWNER_INACTIVE';
  if (!record.isActive) return 'INACTIVE';
  if (!record.owner.accountIsActive) return 'ACCOUNT_INACTIVE';
  if (requiredScopes.length > 0 && firstNotCovered(record.scopes, requiredScopes) !== undefined) {
    return 'INSUFFICIENT_SCOPE';
  }
  return 'OK';
}
