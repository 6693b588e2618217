import type { Caller } from '../authz/caller.js';
import { protoName } from '../lib/fields.js';
import type { Reason } from '../lib/errors.js';

export const AUDIT_ACTIONS = [
  'SECRET_CREATED',
  'SECRET_EDITED',
  'SECRET_ACCESSED',
  'SECRET_DELETED',
  'SECRET_READY',
  'SECRET_RENAMED',
  'SECRET_CLONED',
  'SECRET_UNDELETED',
  'SECRET_PURGED',
  'SECRET_VERSION_ADDED',
  'SECRET_VERSION_DISABLED',
  'SECRET_VERSION_ENABLED',
  'SECRET_VERSION_DESTROYED',
  'SECRET_REFERENCE_ATTACHED',
  'SECRET_REFERENCE_DETACHED',
  'SECRET_GRANTED',
  'SECRET_GRANT_REVOKED',
  'SECRETS_REENCRYPTED',
  'TOKEN_CREATED',
  'TOKEN_EDITED',
  'TOKEN_RENAMED',
  'TOKEN_CLONED',
  'TOKEN_ACTIVATED',
  'TOKEN_DEACTIVATED',
  'TOKEN_ROTATED',
  'TOKEN_DELETED',
  'ACCOUNT_CREATED',
  'ACCOUNT_EDITED',
  'ACCOUNT_DELETED',
  'USER_CREATED',
  'USER_EDITED',
  'USER_DELETED',
  'USER_PROFILE_CREATED',
  'USER_PROFILE_EDITED',
  'USER_PROFILE_DELETED',
  'TOKEN_REFERENCE_ATTACHED',
  'TOKEN_REFERENCE_DETACHED',
  'TOKEN_TRANSFERRED',
  'SECRET_TRANSFERRED',
  'DATA_IMPORTED',
  'AUTHENTICATION_SUCCEEDED',
  'AUTHENTICATION_FAILED',
  'SECRETS_BOUND',
  'AUDIT_TAMPERED',
  'KEYS_RETIRED',
  'DATA_EXPORTED',
] as const;

/** AuditAction is what was done, as `keyward.audit.v1.AuditAction` names it without its prefix. */
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** Actor is who did it; what a kind of actor has not is undefined. */
export interface Actor {
  readonly keyId: string | undefined;
  readonly userId: bigint | undefined;
  readonly username: string;
  readonly accountNumber: string | undefined;
  readonly peer: string;
  readonly certificate: string | undefined;
  readonly requestId: string | undefined;
}

type AuditResourceKind = 'secret' | 'token' | 'account' | 'user' | 'user_profile' | 'keyring' | 'service';

/** AuditResource is what it was done to, with the owner, whose account decides who may see the record. */
export type AuditResource = {
  readonly kind: AuditResourceKind;
  /** null where the resource does not exist, or is not one of many. */
  readonly id: bigint | null;
  readonly profileId?: bigint | undefined;
} & (OfAccount | OfNoAccount);

/** Records are read by the account's id: its number may be that of another account some day. */
interface OfAccount {
  readonly accountId: bigint;
  readonly accountNumber: string;
}

interface OfNoAccount {
  readonly accountId?: undefined;
  readonly accountNumber?: undefined;
}

/** AuditEntry is one record in the making. It never holds a value, a plaintext or a name that a user gave. */
export interface AuditEntry {
  readonly actor: Actor;
  readonly action: AuditAction;
  readonly outcome: 'OK' | Reason;
  readonly resource: AuditResource;
  /** Facts of the action, such as the fields that were changed, or counts. */
  readonly detail: Readonly<Record<string, string>>;
}

/** OPERATOR is whoever runs a command on the database. */
export const OPERATOR: Actor = {
  keyId: undefined,
  userId: undefined,
  username: 'operator',
  accountNumber: undefined,
  peer: 'cli',
  certificate: undefined,
  requestId: undefined,
};

/** SERVICE is the service itself, where nobody asked. */
export const SERVICE: Actor = { ...OPERATOR, username: 'keyward', peer: 'service' };

/** MANY stands for callers who are not told apart. */
export const MANY: Actor = { ...SERVICE, username: '', peer: 'many' };

export function actorOf({ keyId, userId, username, accountNumber, origin }: Caller): Actor {
  return { keyId, userId, username, accountNumber, ...origin };
}

/** changedFields is the detail of a change: the names of its fields, as the API has them, and none of their values. */
export function changedFields(change: object): { readonly fields: string } {
  const names = Object.entries(change).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  return { fields: names.map(protoName).sort().join() };
}
