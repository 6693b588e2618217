import { randomBytes } from 'node:crypto';
import { digestOf, type Digest } from '../crypto/digest.js';
import type { Owner } from '../authz/owner.js';
import { accessTo, type CallerRights } from '../authz/rights.js';
import type { Instant } from '../lib/instant.js';
import { MAX_INSTANT } from '../lib/instant.js';
import { checkDescription, checkName, type Description } from '../lib/resource-rules.js';
import { checkScopes } from '../lib/scopes.js';
import type { Violations } from '../lib/violations.js';

/** Where a token belongs. */
export type TokenOwner = Owner;

/** Issuer is who was given a plaintext, by the credentials of the call. */
export interface Issuer {
  readonly userId: bigint;
  readonly username: string;
  /** Undefined with a client certificate. */
  readonly keyId: string | undefined;
}

/** Token is an API key as it is stored: without its plaintext. */
export interface Token extends Description {
  readonly id: bigint;
  readonly keyId: string;
  readonly name: string;
  readonly owner: TokenOwner;
  readonly isActive: boolean;
  readonly expiresAt: Instant | null;
  readonly scopes: readonly string[];
  readonly lastUsedAt: Instant | null;
  readonly prefix: string;
  /** The digest of the current plaintext. */
  readonly digest: Digest;
  readonly tokenKey: string;
  /** Until when a plaintext from before the last rotation is accepted; null if none ever was. */
  readonly graceEndsAt: Instant | null;
  /** Who was given the present plaintext; null where that is not known. */
  readonly issuedBy: Issuer | null;
  readonly createdAt: Instant | null;
  readonly updatedAt: Instant | null;
  readonly rowVersion: bigint;
}

/** The settings of a token that its owner chooses. */
export interface TokenSettings extends Description {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresAt: Instant | null;
  readonly isActive: boolean;
  readonly prefix: string;
}

/** TokenChange holds the settings to change, and no others. */
export type TokenChange = Partial<Omit<TokenSettings, 'name' | 'isActive' | 'prefix'>>;

/** A presented text over this many bytes is UNKNOWN without being hashed. */
export const MAX_PLAINTEXT = 1024;

const TOKEN_KEY_LENGTH = 15;
const RANDOM_BYTES = 32;
const DAY = 86_400_000_000n;
const MAX_GRACE = 30n * DAY;

/** NewPlaintext is a plaintext and what is kept of it. */
export interface NewPlaintext {
  readonly plaintext: string;
  readonly digest: Digest;
  readonly tokenKey: string;
}

/** newPlaintext makes a plaintext: the prefix, then 64 lower-case hex digits from a cryptographic source. */
export function newPlaintext(prefix: string): NewPlaintext {
  const plaintext = prefix + randomBytes(RANDOM_BYTES).toString('hex');
  return { plaintext, digest: digestOf(plaintext), tokenKey: plaintext.slice(0, TOKEN_KEY_LENGTH) };
}

/** shownTo is a token as a caller may see it who may read it: who issued it is for those who manage it. */
export function shownTo(callerRights: CallerRights, token: Token): Token {
  return accessTo(callerRights, token.owner) === 'manage' ? token : { ...token, issuedBy: null };
}

/** checkSettings checks the settings of a new token. */
export function checkSettings(v: Violations, settings: TokenSettings, now: Instant): void {
  checkName(v, 'name', settings.name);
  checkDescription(v, '', settings);
  checkScopes(v, 'scopes', settings.scopes);
  v.check(/^[A-Za-z0-9_-]{0,10}$/.test(settings.prefix), 'prefix', 'must be at most 10 of [A-Za-z0-9_-]');
  if (settings.expiresAt !== null) checkExpiry(v, 'expires_at', settings.expiresAt, now);
}

/** checkChange checks the settings to change; fields are named as in UpdateTokenRequest. */
export function checkChange(v: Violations, change: TokenChange, now: Instant): void {
  checkDescription(v, 'token.', change);
  if (change.scopes !== undefined) {
    v.check(change.scopes.length > 0, 'token.scopes', 'must hold at least one scope');
    checkScopes(v, 'token.scopes', change.scopes);
  }
  if (change.expiresAt !== undefined && change.expiresAt !== null) {
    checkExpiry(v, 'token.expires_at', change.expiresAt, now);
  }
}

/** checkGrace checks a grace period in microseconds. */
export function checkGrace(v: Violations, field: string, grace: bigint): void {
  v.check(grace >= 0n && grace <= MAX_GRACE, field, 'must be 0 to 30 days');
}

function checkExpiry(v: Violations, field: string, expiresAt: Instant, now: Instant): void {
  v.check(
    expiresAt > now && expiresAt <= MAX_INSTANT,
    field,
    'must lie in the future, before the year 10000',
  );
}
