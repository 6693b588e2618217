import type {
  AccountServiceService,
  CreateAccountRequest,
  CreateUserProfileRequest,
  CreateUserRequest,
  UpdateAccountRequest,
  UpdateUserProfileRequest,
  UpdateUserRequest,
} from '../gen/keyward/account/v1/account_service.js';
import { parseListRequest, type ListFields, type ListRequest, type PageQuery } from '../lib/page.js';
import { recordLocator } from '../lib/public-id.js';
import { DEFAULT_VERSION, MAX_DESCRIPTION_BYTES, type Description } from '../lib/resource-rules.js';
import { checked, type Violations } from '../lib/violations.js';
import { readMask } from '../rpc/field-mask.js';
import type { Handlers } from '../rpc/handlers.js';
import { toPropagation } from '../rpc/propagation-message.js';
import { readRepeatable } from '../rpc/repeatable.js';
import { descriptionReaders } from '../rpc/resource-messages.js';
import { readUserProfileSelector, readUserSelector } from '../rpc/selectors.js';
import { ACCOUNT_COLUMNS, USER_COLUMNS, USER_PROFILE_COLUMNS } from './account-columns.js';
import { readAccountSelector, toAccount, toUser, toUserProfile } from './account-messages.js';
import type { Caller } from '../authz/caller.js';
import type { AccountService, Promoted } from './account-service.js';
import {
  checkAccount,
  checkAccountNumber,
  checkUser,
  checkUsername,
  checkUserProfile,
  type AccountChange,
  type AccountSettings,
  type UserChange,
  type UserProfileChange,
  type UserSettings,
} from './account.js';

export { AccountServiceService } from '../gen/keyward/account/v1/account_service.js';

const READ = 'keyward.accounts.read';
const WRITE = 'keyward.accounts.write';
/** The number of switched-off tokens that a response lists. */
const MAX_DEACTIVATED = 1000;

export function accountHandlers(service: AccountService): Handlers<typeof AccountServiceService> {
  return {
    createAccount: {
      permission: WRITE,
      maxRequestBytes: MAX_DESCRIPTION_BYTES,
      handle: async (request, caller) => {
        const { by, accountNumber, settings } = readNewAccount(request, caller);
        return { account: toAccount(await service.createAccount(by, accountNumber, settings)) };
      },
    },
    getAccount: {
      permission: READ,
      handle: async ({ account }, caller) => {
        const ref = checked((v) => readAccountSelector(v, 'account', account));
        return { account: toAccount(await service.getAccount(caller, ref)) };
      },
    },
    listAccounts: {
      permission: READ,
      handle: async (request, caller) => {
        const page = await service.listAccounts(caller, readList(request, ACCOUNT_COLUMNS));
        return { accounts: page.items.map(toAccount), nextPageToken: page.nextPageToken };
      },
    },
    updateAccount: {
      permission: WRITE,
      maxRequestBytes: MAX_DESCRIPTION_BYTES,
      handle: async (request, caller) => {
        const { ref, change } = checked((v) => ({
          ref: readAccountSelector(v, 'selector', request.selector),
          change: readAccountChange(v, request),
        }));
        const { result, propagation } = await service.updateAccount(caller, ref, request.etag, change);
        return { account: toAccount(result), propagation: toPropagation(propagation) };
      },
    },
    deleteAccount: {
      permission: WRITE,
      handle: async ({ selector, etag, force }, caller) => {
        const ref = checked((v) => readAccountSelector(v, 'selector', selector));
        const { propagation } = await service.deleteAccount(caller, ref, etag, force);
        return { propagation: toPropagation(propagation) };
      },
    },
    createUser: {
      permission: WRITE,
      handle: async (request, caller) => {
        const { by, settings } = readNewUser(request, caller);
        return { user: toUser(await service.createUser(by, request.username, settings)) };
      },
    },
    getUser: {
      permission: READ,
      handle: async ({ user }, caller) => {
        const ref = checked((v) => readUserSelector(v, 'user', user));
        return { user: toUser(await service.getUser(caller, ref)) };
      },
    },
    listUsers: {
      permission: READ,
      handle: async (request, caller) => {
        const page = await service.listUsers(caller, readList(request, USER_COLUMNS));
        return { users: page.items.map(toUser), nextPageToken: page.nextPageToken };
      },
    },
    updateUser: {
      permission: WRITE,
      handle: async (request, caller) => {
        const { ref, change } = checked((v) => ({
          ref: readUserSelector(v, 'selector', request.selector),
          change: readUserChange(v, request),
        }));
        const { result, propagation } = await service.updateUser(
          caller,
          ref,
          request.etag,
          change,
          request.keepTokens,
        );
        return {
          user: toUser(result.resource),
          propagation: toPropagation(propagation),
          ...toDeactivated(result),
        };
      },
    },
    deleteUser: {
      permission: WRITE,
      handle: async ({ selector, etag, force }, caller) => {
        const ref = checked((v) => readUserSelector(v, 'selector', selector));
        const { propagation } = await service.deleteUser(caller, ref, etag, force);
        return { propagation: toPropagation(propagation) };
      },
    },
    createUserProfile: {
      permission: WRITE,
      maxRequestBytes: MAX_DESCRIPTION_BYTES,
      handle: async (request, caller) => {
        const { by, user, account, name, description } = readNewUserProfile(request, caller);
        const { result, propagation } = await service.createUserProfile(
          by,
          user,
          account,
          name,
          description,
          request.keepTokens,
        );
        return {
          userProfile: toUserProfile(result.resource),
          propagation: toPropagation(propagation),
          ...toDeactivated(result),
        };
      },
    },
    getUserProfile: {
      permission: READ,
      handle: async ({ userProfile }, caller) => {
        const ref = checked((v) => readUserProfileSelector(v, 'user_profile', userProfile));
        return { userProfile: toUserProfile(await service.getUserProfile(caller, ref)) };
      },
    },
    listUserProfiles: {
      permission: READ,
      handle: async (request, caller) => {
        const page = await service.listUserProfiles(caller, readList(request, USER_PROFILE_COLUMNS));
        return { userProfiles: page.items.map(toUserProfile), nextPageToken: page.nextPageToken };
      },
    },
    updateUserProfile: {
      permission: WRITE,
      maxRequestBytes: MAX_DESCRIPTION_BYTES,
      handle: async (request, caller) => {
        const { ref, change } = checked((v) => ({
          ref: readUserProfileSelector(v, 'selector', request.selector),
          change: readUserProfileChange(v, request),
        }));
        const profile = await service.updateUserProfile(caller, ref, request.etag, change);
        return { userProfile: toUserProfile(profile) };
      },
    },
    deleteUserProfile: {
      permission: WRITE,
      handle: async ({ selector, etag, force }, caller) => {
        const ref = checked((v) => readUserProfileSelector(v, 'selector', selector));
        const { propagation } = await service.deleteUserProfile(caller, ref, etag, force);
        return { propagation: toPropagation(propagation) };
      },
    },
  };
}

function toDeactivated({ deactivated }: Promoted<unknown>) {
  const deactivatedTokens = deactivated
    .slice(0, MAX_DEACTIVATED)
    .map(({ id, keyId, name }) => ({ id, recordLocator: recordLocator('token', id), keyId, name }));
  return { deactivatedTokens, deactivatedCount: deactivated.length };
}

function readNewAccount(
  request: CreateAccountRequest,
  caller: Caller,
): {
  by: Caller;
  accountNumber: string | undefined;
  settings: AccountSettings;
} {
  return checked((v) => {
    const accountNumber = request.accountNumber === '' ? undefined : request.accountNumber;
    const settings = {
      name: request.name,
      companyName: request.companyName,
      isActive: request.isActive ?? true,
      ...readDescription(request),
    };
    if (accountNumber !== undefined) checkAccountNumber(v, 'account_number', accountNumber);
    checkAccount(v, '', settings);
    const by = readRepeatable(v, caller, 'CreateAccount', request.requestId);
    return { by, accountNumber, settings };
  });
}

function readNewUser(request: CreateUserRequest, caller: Caller): { by: Caller; settings: UserSettings } {
  return checked((v) => {
    const { username, email, firstName, lastName, isStaff, isSuperuser } = request;
    const settings = { email, firstName, lastName, isActive: request.isActive ?? true, isStaff, isSuperuser };
    checkUsername(v, 'username', username);
    checkUser(v, '', settings);
    return { by: readRepeatable(v, caller, 'CreateUser', request.requestId), settings };
  });
}

function readNewUserProfile(request: CreateUserProfileRequest, caller: Caller) {
  return checked((v) => {
    const name = request.name === '' ? undefined : request.name;
    const description = readDescription(request);
    checkUserProfile(v, '', name === undefined ? description : { name, ...description });
    return {
      by: readRepeatable(v, caller, 'CreateUserProfile', request.requestId),
      user: readUserSelector(v, 'user', request.user),
      account: readAccountSelector(v, 'account', request.account),
      name,
      description,
    };
  });
}

function readDescription(request: CreateAccountRequest | CreateUserProfileRequest): Description {
  const { description, tags, annotations, manifestPath } = request;
  const version = request.version === '' ? DEFAULT_VERSION : request.version;
  return { description, version, tags, annotations, manifestPath };
}

function readList({ pageSize, pageToken, filter, orderBy }: ListRequest, fields: ListFields): PageQuery {
  return checked((v) => parseListRequest(v, { pageSize, pageToken, filter, orderBy }, fields));
}

function readAccountChange(v: Violations, { account, updateMask }: UpdateAccountRequest): AccountChange {
  const change = readMask<AccountChange>(v, updateMask, {
    name: () => ({ name: account?.name ?? '' }),
    company_name: () => ({ companyName: account?.companyName ?? '' }),
    ...descriptionReaders(account),
    is_active: () => ({ isActive: account?.isActive ?? false }),
  });
  checkAccount(v, 'account.', change);
  return change;
}

function readUserChange(v: Violations, { user, updateMask }: UpdateUserRequest): UserChange {
  const change = readMask<UserChange>(v, updateMask, {
    email: () => ({ email: user?.email ?? '' }),
    first_name: () => ({ firstName: user?.firstName ?? '' }),
    last_name: () => ({ lastName: user?.lastName ?? '' }),
    is_active: () => ({ isActive: user?.isActive ?? false }),
    is_staff: () => ({ isStaff: user?.isStaff ?? false }),
    is_superuser: () => ({ isSuperuser: user?.isSuperuser ?? false }),
  });
  checkUser(v, 'user.', change);
  return change;
}

function readUserProfileChange(
  v: Violations,
  { userProfile, updateMask }: UpdateUserProfileRequest,
): UserProfileChange {
  const change = readMask<UserProfileChange>(v, updateMask, {
    name: () => ({ name: userProfile?.name ?? '' }),
    ...descriptionReaders(userProfile),
  });
  checkUserProfile(v, 'user_profile.', change);
  return change;
}
