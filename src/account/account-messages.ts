import type {
  Account as AccountMessage,
  AccountSelector,
  User as UserMessage,
  UserProfile as UserProfileMessage,
} from '../gen/keyward/account/v1/account.js';
import type { Violations } from '../lib/violations.js';
import { toFields, type NotSet } from '../rpc/field-messages.js';
import { toHistory, toIdentity } from '../rpc/resource-messages.js';
import { missing, readName, readPublicId } from '../rpc/selectors.js';
import {
  ACCOUNT_FIELDS,
  USER_FIELDS,
  USER_PROFILE_FIELDS,
  type Account,
  type User,
  type UserProfile,
} from './account.js';
import type { AccountRef } from '../authz/refs.js';
import { PLATFORM_ACCOUNT_NUMBER } from '../authz/rights.js';

/** The translation between messages and accounts, users and user profiles. */

export function toAccount(account: Account): AccountMessage {
  const others: NotSet<AccountMessage, typeof ACCOUNT_FIELDS> = {
    ...toIdentity('account', account),
    ...toHistory(account),
    accountNumber: account.accountNumber,
    isPlatform: account.accountNumber === PLATFORM_ACCOUNT_NUMBER,
  };
  return { ...toFields(ACCOUNT_FIELDS, account), ...others };
}

export function toUser(user: User): UserMessage {
  const others: NotSet<UserMessage, typeof USER_FIELDS> = {
    id: user.id,
    username: user.username,
    ...toHistory(user),
  };
  return { ...toFields(USER_FIELDS, user), ...others };
}

export function toUserProfile(profile: UserProfile): UserProfileMessage {
  const others: NotSet<UserProfileMessage, typeof USER_PROFILE_FIELDS> = {
    ...toIdentity('userprofile', profile),
    ...toHistory(profile),
    userId: profile.userId,
    username: profile.username,
    accountId: profile.accountId,
    accountNumber: profile.accountNumber,
  };
  return { ...toFields(USER_PROFILE_FIELDS, profile), ...others };
}

/** readAccountSelector reads a selector; one that names nothing is a violation of `field`. */
export function readAccountSelector(
  v: Violations,
  field: string,
  message: AccountSelector | undefined,
): AccountRef {
  const selector = message?.selector;
  if (selector === undefined) return missing(v, field);
  if (selector.$case !== 'accountNumber') return readPublicId(v, field, 'account', selector);
  return {
    by: 'account_number',
    accountNumber: readName(v, `${field}.account_number`, selector.value, 255),
  };
}
