import { isUtf8 } from 'node:buffer';
import type { Owner } from '../authz/owner.js';
import { accessTo, type Ownership, type CallerRights } from '../authz/rights.js';
import type { ChangeOf, FieldsOf } from '../lib/fields.js';
import type { Instant } from '../lib/instant.js';
import { checkExpiry, checkName, DESCRIPTION_FIELDS, type Description } from '../lib/resource-rules.js';
import type { Violations } from '../lib/violations.js';

/** The settings of a secret that its owner chooses. */
export interface SecretSettings extends Description {
  readonly name: string;
  readonly expiresAt: Instant | null;
}

export const SECRET_FIELDS = {
  name: { kind: 'text', check: checkName, list: 'filter and order', notInMask: 'RenameSecret changes it' },
  ...DESCRIPTION_FIELDS,
  version: { ...DESCRIPTION_FIELDS.version, list: 'filter' },
  expiresAt: { kind: 'expiry', check: checkExpiry, list: 'filter and order' },
} as const satisfies FieldsOf<SecretSettings>;

/** Secret is a secret without its values. */
export interface Secret extends SecretSettings {
  readonly id: bigint;
  readonly owner: Owner;
  readonly lastAccessedAt: Instant | null;
  /** The number of the newest version, whatever its state. */
  readonly latestVersion: number;
  /** The number of the newest version that is enabled, which AccessSecret gives; null if none is. */
  readonly enabledVersion: number | null;
  readonly createdAt: Instant | null;
  readonly updatedAt: Instant | null;
  /** Both null unless the secret is deleted. */
  readonly deletedAt: Instant | null;
  readonly purgeAt: Instant | null;
  readonly rowVersion: bigint;
}

/** SecretChange holds the settings to change, and no others. */
export type SecretChange = ChangeOf<typeof SECRET_FIELDS>;

export type VersionState = 'ENABLED' | 'DISABLED' | 'DESTROYED';

/** SecretVersion is one value of a secret, without the value. Only its state can change. */
export interface SecretVersion {
  readonly secretId: bigint;
  readonly number: number;
  readonly state: VersionState;
  readonly format: PayloadFormat;
  /** The key that the ciphertext is under; null if no known key opens it, and once it is destroyed. */
  readonly keyId: string | null;
  readonly createdAt: Instant | null;
  /** Empty for those who may not know that user. */
  readonly createdBy: string;
  readonly destroyedAt: Instant | null;
}

export type PayloadFormat = 'TEXT' | 'BINARY';

/** Payload is a value in plain: never logged, remembered or put into an error. */
export interface Payload {
  readonly format: PayloadFormat;
  /** Of the format TEXT, valid UTF-8. In memory of their own. */
  readonly bytes: Uint8Array;
}

/** SecretGrant lets whoever has a user profile read a secret and access its value, as somebody may see it. */
export interface SecretGrant {
  readonly grantee: Grantee;
  readonly expiresAt: Instant | null;
  /** Empty for those who may not know that user. */
  readonly grantedBy: string;
  readonly createdAt: Instant;
}

interface Grantee {
  readonly profileId: bigint;
  /** Empty for those who may not know that user, as the account's number is. */
  readonly username: string;
  readonly accountNumber: string;
}

/** What a caller may do with a secret. Each includes the ones before; `access` is to get the value. */
export type SecretAccess = 'none' | 'read' | 'access' | 'manage';

export const MAX_PAYLOAD = 65_536;

/** accessToSecret is the caller's right, where `isGranted` says whether one of its profiles has a grant in force. */
export function accessToSecret(
  callerRights: CallerRights,
  owner: Ownership,
  isGranted: boolean,
): SecretAccess {
  const access = accessTo(callerRights, owner);
  return isGranted && access !== 'manage' && callerRights.profiles.length > 0 ? 'access' : access;
}

/** isOver tells whether a secret or a grant has expired: null is never. */
export function isOver(expiresAt: Instant | null, now: Instant): boolean {
  return expiresAt !== null && expiresAt < now;
}

/** prolongs tells whether a change lets a secret's values be read for longer than until `expiresAt`. */
export function prolongs(expiresAt: Instant | null, change: SecretChange): boolean {
  if (change.expiresAt === undefined || expiresAt === null) return false;
  return change.expiresAt === null || change.expiresAt > expiresAt;
}

/** isReady tells whether those who may have the value can get it now. */
export function isReady(secret: Secret, now: Instant): boolean {
  return secret.deletedAt === null && secret.enabledVersion !== null && !isOver(secret.expiresAt, now);
}

/** isPayloadIntact tells whether decrypted bytes are what the format promises. */
export function isPayloadIntact({ format, bytes }: Payload): boolean {
  return format === 'BINARY' || isUtf8(bytes);
}

/** checkPayload checks a new value. */
export function checkPayload(v: Violations, field: string, payload: Payload): void {
  const { length } = payload.bytes;
  v.check(length > 0 && length <= MAX_PAYLOAD, field, `must be 1 to ${MAX_PAYLOAD} bytes long`);
  v.check(isPayloadIntact(payload), field, 'must be valid UTF-8 if it is text');
}
