import type { Owner } from '../../authz/owner.js';
import type { CallerRights } from '../../authz/rights.js';
import { credentialsRefused, KeywardError, notFound, notPermitted } from '../../lib/errors.js';
import type { Instant } from '../../lib/instant.js';
import type { Binding } from '../binding/binding.js';
import {
  accessToSecret,
  isOver,
  type Payload,
  type PayloadFormat,
  type SecretAccess,
  type VersionState,
} from '../secret.js';

/** AccessFacts is what decides whether a caller may have a value, read in one statement. */
export interface AccessFacts {
  /** undefined if the caller's user is gone or switched off. */
  readonly callerRights: CallerRights | undefined;
  /** undefined if there is none that was named, or if it is deleted. */
  readonly secret: AccessedFacts | undefined;
  /** The version asked for, or the newest enabled one; undefined if there is none. */
  readonly version: VersionFacts | undefined;
}

interface AccessedFacts {
  readonly id: bigint;
  readonly owner: Owner;
  readonly expiresAt: Instant | null;
  /** When the last of the grants to the caller's profiles ends or ended; null if there never was one. */
  readonly grantEndsAt: Instant | null;
}

interface VersionFacts {
  readonly number: number;
  readonly state: VersionState;
  readonly format: PayloadFormat;
  readonly keyId: string | null;
  /** null unless the version is enabled. */
  readonly ciphertext: Buffer | null;
  readonly binding: Binding | null;
}

/** Wanted is which value of a secret is asked for. */
export interface Wanted {
  /** The number of a version; null for the newest that is enabled. */
  readonly version: number | null;
  /** Whether an expired secret's value is asked for, which only those who manage it get. */
  readonly includeExpired: boolean;
}

/** Granted is a value that the caller may have. */
export interface Granted {
  readonly secret: AccessedFacts;
  readonly version: VersionFacts & { readonly ciphertext: Buffer };
  /** When the caller may have it no more unless something is changed; null for never. */
  readonly until: Instant | null;
}

/** AccessedSecret is a value in plain, and whose it is. */
export interface AccessedSecret {
  readonly secretId: bigint;
  readonly version: number;
  readonly payload: Payload;
  /** As in Granted. */
  readonly until: Instant | null;
}

/** judgeAccess decides whether the caller may have the value, and throws why not. */
export function judgeAccess(
  { callerRights, secret, version }: AccessFacts,
  { version: number, includeExpired }: Wanted,
  now: Instant,
): Granted {
  if (callerRights === undefined) throw credentialsRefused();
  if (secret === undefined) throw notFound('secret');
  const isGranted = secret.grantEndsAt !== null && !isOver(secret.grantEndsAt, now);
  const access = accessToSecret(callerRights, secret.owner, isGranted);
  requireAccess(access);
  if (includeExpired && access !== 'manage') {
    throw notPermitted('Only those who manage a secret may ask for its value after it has expired.');
  }
  if (!includeExpired) requireNotExpired(secret.expiresAt, now);
  if (version === undefined) {
    if (number !== null) throw notFound('version of this secret');
    throw noneEnabled();
  }
  const { ciphertext } = version;
  if (ciphertext === null) {
    const { state } = version;
    throw new KeywardError(
      'VERSION_NOT_ENABLED',
      `This version of the secret is ${state === 'DISABLED' ? 'disabled' : 'destroyed'}.`,
      { metadata: { state } },
    );
  }
  const ends = [secret.expiresAt, access === 'manage' ? null : secret.grantEndsAt];
  return { secret, version: { ...version, ciphertext }, until: earliest(ends.filter((end) => end !== null)) };
}

function earliest(instants: readonly Instant[]): Instant | null {
  return instants.reduce<Instant | null>(
    (first, each) => (first === null || each < first ? each : first),
    null,
  );
}

/** requireAccess refuses those who may not have a secret's value. */
export function requireAccess(access: SecretAccess): void {
  if (access === 'none') throw notFound('secret');
  if (access === 'read') throw notPermitted('The caller may read this secret but not have its value.');
}

export function requireNotExpired(expiresAt: Instant | null, now: Instant): void {
  if (isOver(expiresAt, now)) throw new KeywardError('SECRET_EXPIRED', 'The secret has expired.');
}

export function noneEnabled(): KeywardError {
  return new KeywardError('VERSION_NOT_ENABLED', 'No version of the secret is enabled.');
}
