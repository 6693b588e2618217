import type { Caller } from '../authz/caller.js';
import {
  SecretFormat,
  SecretVersionState,
  type Secret as SecretMessage,
  type SecretGrant as SecretGrantMessage,
  type SecretPayload,
  type SecretReference as SecretReferenceMessage,
  type SecretSelector,
  type SecretVersion as SecretVersionMessage,
} from '../gen/keyward/secret/v1/secret.js';
import type { Instant } from '../lib/instant.js';
import type { Violations } from '../lib/violations.js';
import { toFields, type NotSet } from '../rpc/field-messages.js';
import { toHistory, toIdentity, toOwner } from '../rpc/resource-messages.js';
import { missing, readOwnedName, readPublicId } from '../rpc/selectors.js';
import { toTimestamp } from '../rpc/timestamp.js';
import type { SecretRef } from './secret-ref.js';
import {
  checkPayload,
  isOver,
  isReady,
  SECRET_FIELDS,
  type Payload,
  type PayloadFormat,
  type Secret,
  type SecretGrant,
  type SecretReference,
  type SecretVersion,
  type VersionState,
} from './secret.js';

/** The translation between messages and secrets. */

const STATES: Readonly<Record<VersionState, SecretVersionState>> = {
  ENABLED: SecretVersionState.SECRET_VERSION_STATE_ENABLED,
  DISABLED: SecretVersionState.SECRET_VERSION_STATE_DISABLED,
  DESTROYED: SecretVersionState.SECRET_VERSION_STATE_DESTROYED,
};

const FORMATS: Readonly<Record<PayloadFormat, SecretFormat>> = {
  TEXT: SecretFormat.SECRET_FORMAT_TEXT,
  BINARY: SecretFormat.SECRET_FORMAT_BINARY,
};

const utf8 = new TextEncoder();

const NO_PAYLOAD: Payload = { format: 'BINARY', bytes: new Uint8Array() };

export function toSecret(secret: Secret, now: Instant): SecretMessage {
  const others: NotSet<SecretMessage, typeof SECRET_FIELDS> = {
    ...toIdentity('secret', secret),
    ...toHistory(secret),
    owner: toOwner(secret.owner),
    lastAccessedAt: toTimestamp(secret.lastAccessedAt),
    latestVersion: secret.latestVersion,
    deletedAt: toTimestamp(secret.deletedAt),
    purgeAt: toTimestamp(secret.purgeAt),
    isExpired: isOver(secret.expiresAt, now),
    ready: isReady(secret, now),
  };
  return { ...toFields(SECRET_FIELDS, secret), ...others };
}

export function toVersion(version: SecretVersion): SecretVersionMessage {
  return {
    number: version.number,
    state: STATES[version.state],
    format: FORMATS[version.format],
    keyId: version.keyId ?? '',
    createdAt: toTimestamp(version.createdAt),
    createdBy: version.createdBy,
    destroyedAt: toTimestamp(version.destroyedAt),
  };
}

export function toReference({ kind, consumer, createdAt }: SecretReference): SecretReferenceMessage {
  return { kind, consumer, createdAt: toTimestamp(createdAt) };
}

export function toGrant({ grantee, expiresAt, grantedBy, createdAt }: SecretGrant): SecretGrantMessage {
  return {
    userProfileId: grantee.profileId,
    username: grantee.username,
    accountNumber: grantee.accountNumber,
    expiresAt: toTimestamp(expiresAt),
    grantedBy,
    createdAt: toTimestamp(createdAt),
  };
}

/** toPayload gives a value in the form in which it was given. */
export function toPayload({ format, bytes }: Payload): SecretPayload {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return format === 'TEXT'
    ? { value: { $case: 'text', value: buffer.toString('utf8') } }
    : { value: { $case: 'data', value: buffer } };
}

/** readPayload reads a value that must be given. */
export function readPayload(v: Violations, field: string, message: SecretPayload | undefined): Payload {
  const value = message?.value;
  if (value === undefined) {
    v.add(field, 'must hold a value, as exactly one of text and data');
    return NO_PAYLOAD;
  }
  const payload: Payload =
    value.$case === 'text'
      ? { format: 'TEXT', bytes: utf8.encode(value.value) }
      : { format: 'BINARY', bytes: movedOut(value.value) };
  checkPayload(v, field, payload);
  return payload;
}

/** movedOut moves bytes out of memory that others may share into memory of its own. */
function movedOut(bytes: Uint8Array): Uint8Array {
  const own = new Uint8Array(bytes);
  bytes.fill(0);
  return own;
}

/** readSecretSelector reads a selector; one that names nothing is a violation of `field`. */
export function readSecretSelector(
  v: Violations,
  field: string,
  message: SecretSelector | undefined,
  caller: Caller,
): SecretRef {
  const selector = message?.selector;
  if (selector === undefined) return missing(v, field);
  return selector.$case === 'ownedName'
    ? readOwnedName(v, `${field}.owned_name`, selector.value, caller)
    : readPublicId(v, field, 'secret', selector);
}
