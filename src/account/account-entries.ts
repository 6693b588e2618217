import type { AuditAction, AuditEntry, AuditResource } from '../audit/audit-log.js';
import type { Account, User, UserProfile } from './account.js';
import type { Resource } from '../idempotency/done-requests.js';
import { consumerDetail } from '../lib/references.js';
import type { DeactivatedToken, OwnedSecret } from './user-profile-repository.js';

/** Entry is the record of a change, but for who made it. */
export type Entry = Omit<AuditEntry, 'actor'>;

type ActionOn<Kind extends string> = Extract<AuditAction, `${Kind}_${'CREATED' | 'EDITED' | 'DELETED'}`>;

export function accountEntry(
  action: ActionOn<'ACCOUNT'>,
  { id, accountNumber }: Pick<Account, 'id' | 'accountNumber'>,
  detail?: AuditEntry['detail'],
): Entry {
  return entry(action, { kind: 'account', id, accountId: id, accountNumber }, detail);
}

export function userEntry(
  action: ActionOn<'USER'>,
  { id }: Pick<User, 'id'>,
  detail?: AuditEntry['detail'],
): Entry {
  return entry(action, { kind: 'user', id }, detail);
}

export function userProfileEntry(
  action: ActionOn<'USER_PROFILE'>,
  { id, accountId, accountNumber }: Pick<UserProfile, 'id' | 'accountId' | 'accountNumber'>,
  detail?: AuditEntry['detail'],
): Entry {
  return entry(action, { kind: 'user_profile', id, profileId: id, accountId, accountNumber }, detail);
}

/** deletedSecretEntry is the record of a secret that was deleted for good with its owner. */
export function deletedSecretEntry(secret: OwnedSecret): Entry {
  return entry('SECRET_PURGED', { kind: 'secret', ...secret }, undefined);
}

/** DeactivationCause is the change of its owner for which a token was switched off. */
export type DeactivationCause = 'owner_promoted' | 'owner_joined_account' | 'owner_changed';

/** deactivatedTokenEntry is the record of a token that was switched off with a change of its owner. */
export function deactivatedTokenEntry(
  { id, profileId, accountId, accountNumber, consumers }: DeactivatedToken,
  cause: DeactivationCause,
): Entry {
  const detail = { cause, ...consumerDetail(consumers) };
  return entry('TOKEN_DEACTIVATED', { kind: 'token', id, profileId, accountId, accountNumber }, detail);
}

/** keptTokens is the detail of a change that was to leave tokens switched on which others know. */
export function keptTokens(keepTokens: boolean): AuditEntry['detail'] {
  return keepTokens ? { keep_tokens: 'true' } : {};
}

/** resourceOf is what an account, user or user profile is remembered by that a call has made. */
export function resourceOf({ resource: { kind, id } }: Entry): Resource {
  if (id === null || (kind !== 'account' && kind !== 'user' && kind !== 'user_profile'))
    throw new Error(`a change of a ${kind} by way of accounts`);
  return { kind, id };
}

function entry(action: AuditAction, resource: AuditResource, detail: AuditEntry['detail'] = {}): Entry {
  return { action, outcome: 'OK', resource, detail };
}
