import { randomBytes } from 'node:crypto';
import { digestOf, type Digest } from '../crypto/digest.js';
import type { Owner } from '../authz/owner.js';
import { accessTo, type CallerRights } from '../authz/rights.js';
import type { Instant } from '../lib/instant.js';
import { anything, type ChangeOf, type FieldsOf } from '../lib/fields.js';
import { checkExpiry, checkName, DESCRIPTION_FIELDS, type Description } from '../lib/resource-rules.js';
import { ALL_SCOPES, checkScopes } from '../lib/scopes.js';
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

/** The settings of a token that its owner chooses. */
export interface TokenSettings extends Description {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresAt: Instant | null;
  readonly isActive: boolean;
  readonly prefix: string;
}

export const TOKEN_FIELDS = {
  name: { kind: 'text', check: checkName, list: 'filter and order', notInMask: 'RenameToken changes it' },
  ...DESCRIPTION_FIELDS,
  version: { ...DESCRIPTION_FIELDS.version, list: 'filter' },
  scopes: { kind: 'texts', check: checkGivenScopes, list: 'no', ifEmpty: ALL_SCOPES },
  prefix: { kind: 'text', check: checkPrefix, list: 'no', notInMask: 'plaintexts begin with it' },
  expiresAt: { kind: 'expiry', check: checkExpiry, list: 'filter and order' },
  isActive: {
    kind: 'boolean',
    check: anything,
    list: 'filter',
    ifEmpty: true,
    notInMask: 'ActivateToken, DeactivateToken and ToggleToken change it',
  },
} as const satisfies FieldsOf<TokenSettings>;

/** Token is an API key as it is stored: without its plaintext. */
export interface Token extends TokenSettings {
  readonly id: bigint;
  readonly keyId: string;
  readonly owner: TokenOwner;
  readonly lastUsedAt: Instant | null;
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

/** TokenChange holds the settings to change, and no others. */
export type TokenChange = ChangeOf<typeof TOKEN_FIELDS>;

/** A presented text over this many bytes is UNKNOWN without being hashed. */
export const MAX_PLAINTEXT = 1024;

const TOKEN_KEY_LENGTH = 15;
const RANDOM_BYTES = 32;
const PREFIX = /^[!-~]{0,10}$/;
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

/**
 * prefixOf is what the plaintext of an imported token begins with, as far as the beginning that is known of it tells: the
 * original keeps no prefix. All up to the last character that is no hex digit is of it for certain. Empty where that is
 * no prefix that a token may be given.
 */
export function prefixOf(tokenKey: string): string {
  const known = /^.*[^0-9a-f]/s.exec(tokenKey)?.[0] ?? '';
  return PREFIX.test(known) ? known : '';
}

/** shownTo is a token as a caller may see it who may read it: who issued it is for those who manage it. */
export function shownTo(callerRights: CallerRights, token: Token): Token {
  return accessTo(callerRights, token.owner) === 'manage' ? token : { ...token, issuedBy: null };
}

/** isExpired tells whether a token is refused for its age, as a verdict would. */
export function isExpired({ expiresAt }: Pick<Token, 'expiresAt'>, now: Instant): boolean {
  return expiresAt !== null && expiresAt < now;
}

/** checkGrace checks a grace period in microseconds. */
export function checkGrace(v: Violations, field: string, grace: bigint): void {
  v.check(grace >= 0n && grace <= MAX_GRACE, field, 'must be 0 to 30 days');
}

function checkGivenScopes(v: Violations, field: string, scopes: readonly string[]): void {
  v.check(scopes.length > 0, field, 'must hold at least one scope');
  checkScopes(v, field, scopes);
}

function checkPrefix(v: Violations, field: string, prefix: string): void {
  v.check(PREFIX.test(prefix), field, 'must be at most 10 printable ASCII characters without white space');
}
