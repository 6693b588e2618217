import type {
  Account as AccountMessage,
  AccountSelector,
  User as UserMessage,
  UserProfile as UserProfileMessage,
} from '../gen/keyward/account/v1/account.js';
import type { Violations } from '../lib/violations.js';
import { toDescription, toHistory, toIdentity } from '../rpc/resource-messages.js';
import { missing, readName, readPublicId } from '../rpc/selectors.js';
import type { Account, User, UserProfile } from './account.js';
import type { AccountRef } from '../authz/refs.js';
import { PLATFORM_ACCOUNT_NUMBER } from '../authz/rights.js';

/** The translation between messages and accounts, users and user profiles. */

export function toAccount(account: Account): AccountMessage {
  return {
    ...toIdentity('account', account),
    ...toDescription(account),
    ...toHistory(account),
    accountNumber: account.accountNumber,
    companyName: account.companyName,
    isActive: account.isActive,
    isPlatform: account.accountNumber === PLATFORM_ACCOUNT_NUMBER,
  };
}

export function toUser(user: User): UserMessage {
  return {
    id: user.id,
    username: user.username,
    email: user.email,
    firstName: user.firstName,
    lastName: user.lastName,
    isActive: user.isActive,
    isStaff: user.isStaff,
    isSuperuser: user.isSuperuser,
    ...toHistory(user),
  };
}

export function toUserProfile(profile: UserProfile): UserProfileMessage {
  return {
    ...toIdentity('userprofile', profile),
    ...toDescription(profile),
    ...toHistory(profile),
    userId: profile.userId,
    username: profile.username,
    accountId: profile.accountId,
    accountNumber: profile.accountNumber,
  };
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
