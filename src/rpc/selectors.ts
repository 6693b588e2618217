import type { Caller } from '../authz/caller.js';
import type { UserProfileRef, UserRef } from '../authz/refs.js';
import type { UserProfileSelector, UserSelector } from '../gen/keyward/account/v1/account.js';
import { idFromHashedId, idFromRecordLocator, MAX_ID, type ResourceKind } from '../lib/public-id.js';
import { checkText } from '../lib/resource-rules.js';
import type { Violations } from '../lib/violations.js';

/** The readers of selectors add a violation for what breaks a rule, and then return a reference to nothing. */

const NOTHING = { by: 'id', id: 0n } as const;

type PublicId =
  | { readonly $case: 'id'; readonly value: bigint }
  | { readonly $case: 'hashedId'; readonly value: string }
  | { readonly $case: 'recordLocator'; readonly value: string };

/**
 * readPublicId reads the three forms in which a number is given. A hashed id or a record locator that is
 * none names nothing that exists, so it is NOT_FOUND like any other.
 */
export function readPublicId(
  v: Violations,
  field: string,
  kind: ResourceKind,
  selector: PublicId,
): { readonly by: 'id'; readonly id: bigint } {
  if (selector.$case === 'id') {
    v.check(selector.value > 0n, `${field}.id`, 'must be above 0');
    return { by: 'id', id: selector.value };
  }
  const { $case, value } = selector;
  const id = $case === 'hashedId' ? idFromHashedId(value) : idFromRecordLocator(kind, value);
  return id === undefined || id < 1n || id > MAX_ID ? NOTHING : { by: 'id', id };
}

/** readName reads a name that must be given; any name may be asked for, as imported ones follow no rule. */
export function readName(v: Violations, field: string, name: string, longest: number): string {
  if (name === '') v.add(field, 'is required');
  else checkText(v, field, name, longest);
  return name;
}

export function readUserSelector(v: Violations, field: string, message: UserSelector | undefined): UserRef {
  const selector = message?.selector;
  if (selector === undefined) return missing(v, field);
  if (selector.$case === 'id') {
    v.check(selector.value > 0n, `${field}.id`, 'must be above 0');
    return { by: 'id', id: selector.value };
  }
  return { by: 'username', username: readName(v, `${field}.username`, selector.value, 150) };
}

export function readUserProfileSelector(
  v: Violations,
  field: string,
  message: UserProfileSelector | undefined,
): UserProfileRef {
  const selector = message?.selector;
  if (selector === undefined) return missing(v, field);
  if (selector.$case !== 'membership') return readPublicId(v, field, 'userprofile', selector);
  const { username, accountNumber } = selector.value;
  return {
    by: 'membership',
    username: readName(v, `${field}.membership.username`, username, 150),
    accountNumber: readName(v, `${field}.membership.account_number`, accountNumber, 255),
  };
}

/** readOwner reads whom a new resource shall belong to: the caller's own profile if that is not said. */
export function readOwner(
  v: Violations,
  field: string,
  message: UserProfileSelector | undefined,
  { profileId }: Caller,
): UserProfileRef {
  if (message !== undefined) return readUserProfileSelector(v, field, message);
  return profileId === undefined ? missing(v, field) : { by: 'id', id: profileId };
}

/** OwnedName is how selectors name a resource by its owner and its name. */
interface OwnedName {
  readonly owner?:
    | { readonly $case: 'userProfile'; readonly value: UserProfileSelector }
    | { readonly $case: 'accountNumber'; readonly value: string }
    | undefined;
  readonly name: string;
}

type OwnedNameRef =
  | { readonly by: 'id'; readonly id: bigint }
  | { readonly by: 'owner'; readonly owner: UserProfileRef; readonly name: string }
  | { readonly by: 'account'; readonly accountNumber: string; readonly name: string };

/** readOwnedName reads such a name: one of the caller's own profile if no owner is given. */
export function readOwnedName(
  v: Violations,
  field: string,
  { owner, name: given }: OwnedName,
  caller: Caller,
): OwnedNameRef {
  const name = readName(v, `${field}.name`, given, 255);
  switch (owner?.$case) {
    case 'accountNumber':
      return { by: 'account', accountNumber: readName(v, `${field}.account_number`, owner.value, 255), name };
    case 'userProfile':
      return { by: 'owner', owner: readUserProfileSelector(v, `${field}.user_profile`, owner.value), name };
    case undefined:
      return { by: 'owner', owner: readOwner(v, `${field}.owner`, undefined, caller), name };
  }
}

/** missing is the reference of a selector that names nothing. */
export function missing(v: Violations, field: string): { readonly by: 'id'; readonly id: bigint } {
  v.add(field, 'must name one, by exactly one of its fields');
  return NOTHING;
}
