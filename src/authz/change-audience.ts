import { PLATFORM_ACCOUNT_NUMBER, type Ownership, type CallerRights } from './rights.js';

/** ChangedResource is what was changed, and whose it is; of a resource that is deleted, whose it was. */
export interface ChangedResource {
  readonly kind: 'account' | 'user' | 'user_profile' | 'token' | 'secret';
  /** Undefined where all of the kind were changed at once. */
  readonly id: bigint | undefined;
  readonly profileId: bigint | undefined;
  readonly userId: bigint | undefined;
  readonly accountId: bigint | undefined;
}

/** ChangeAudience is where users belong at present: it tells whom a change concerns. */
export interface ChangeAudience {
  /** Undefined before it was made. */
  readonly platformAccountId: bigint | undefined;
  /** The accounts of each user that was asked for. */
  readonly accountsOf: ReadonlyMap<bigint, readonly bigint[]>;
}

export interface ChangeAudienceReader {
  of(userIds: readonly bigint[]): Promise<ChangeAudience>;
}

/** Of no profile or account. */
const NOBODY = -1n;

/** isOwnerChange tells whether a user profile, a user or an account was changed, and not all at once. */
export function isOwnerChange({ kind, id }: ChangedResource): boolean {
  return (kind === 'user_profile' || kind === 'user' || kind === 'account') && id !== undefined;
}

/** reachOfChanges reads what `mayKnowOwner` and `ownershipOf` need for some changes. */
export function reachOfChanges(
  changes: readonly ChangedResource[],
  reader: ChangeAudienceReader,
): Promise<ChangeAudience> {
  const users = changes.filter(({ kind }) => kind === 'user');
  return reader.of(users.flatMap(({ id }) => id ?? []));
}

/** mayKnowOwner tells whether someone may know that an owner was changed. Everyone knows of oneself. */
export function mayKnowOwner(
  callerRights: CallerRights,
  change: ChangedResource,
  reach: ChangeAudience,
): boolean {
  const userId = change.kind === 'user' ? change.id : change.userId;
  if (userId === callerRights.userId) return true;
  if (callerRights.profiles.length === 0) return false;
  if (callerRights.isSuperuser) return true;
  const own = new Set([...callerRights.profiles.map(({ accountId }) => accountId), reach.platformAccountId]);
  return accountsOf(change, reach).some((accountId) => own.has(accountId));
}

/** ownershipOf is where a resource belonged when it was changed, as far as the change tells. */
export function ownershipOf(
  { profileId, accountId }: ChangedResource,
  { platformAccountId }: ChangeAudience,
): Ownership {
  const isOfPlatform = accountId !== undefined && accountId === platformAccountId;
  return {
    profileId: profileId ?? NOBODY,
    accountId: accountId ?? NOBODY,
    accountNumber: isOfPlatform ? PLATFORM_ACCOUNT_NUMBER : '',
  };
}

function accountsOf({ kind, id, accountId }: ChangedResource, reach: ChangeAudience): readonly bigint[] {
  if (kind === 'user') return id === undefined ? [] : (reach.accountsOf.get(id) ?? []);
  const account = kind === 'account' ? id : accountId;
  return account === undefined ? [] : [account];
}
