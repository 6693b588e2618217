import { actorOf, type AuditAction, type AuditEntry } from '../audit/audit-log.js';
import type { Caller } from '../authz/caller.js';
import type { TokenOwner } from './token.js';

/** AuditedToken is what records tell of a token. */
interface AuditedToken {
  readonly id: bigint;
  readonly owner: Pick<TokenOwner, 'profileId' | 'accountId' | 'accountNumber'>;
}

const NO_DETAIL = {};

/** entryOf is the record of what a caller did with a token. */
export function entryOf(
  caller: Caller,
  action: AuditAction,
  token: AuditedToken,
  detail?: AuditEntry['detail'],
): AuditEntry {
  return entriesBy(caller)(action, token, detail);
}

type EntryMaker = (action: AuditAction, token: AuditedToken, detail?: AuditEntry['detail']) => AuditEntry;

/** entriesBy makes records that share what they have in common, which is written once then. */
export function entriesBy(caller: Caller): EntryMaker {
  const actor = actorOf(caller);
  return (action, { id, owner }, detail = NO_DETAIL) => {
    const { profileId, accountId, accountNumber } = owner;
    const resource = { kind: 'token', id, profileId, accountId, accountNumber } as const;
    return { actor, action, outcome: 'OK', resource, detail };
  };
}
