import type {
  AccountServiceService,
  CreateAccountRequest,
  CreateUserProfileRequest,
  CreateUserRequest,
} from '../gen/keyward/account/v1/account_service.js';
import type { Clock } from '../lib/clock.js';
import { presentOf, type Instant } from '../lib/instant.js';
import { parseListRequest, type ListFields, type ListRequest, type PageQuery } from '../lib/page.js';
import { recordLocator } from '../lib/public-id.js';
import { MAX_DESCRIPTION_BYTES } from '../lib/resource-rules.js';
import { checked } from '../lib/violations.js';
import { readChange, readNew } from '../rpc/field-messages.js';
import type { Handlers } from '../rpc/handlers.js';
import { toPropagation } from '../rpc/propagation-message.js';
import { readRepeatable } from '../rpc/repeatable.js';
import { readUserProfileSelector, readUserSelector } from '../rpc/selectors.js';
import { ACCOUNT_COLUMNS, USER_COLUMNS, USER_PROFILE_COLUMNS } from './account-columns.js';
import { readAccountSelector, toAccount, toUser, toUserProfile } from './account-messages.js';
import type { Caller } from '../authz/caller.js';
import type { AccountService, Promoted } from './account-service.js';
import {
  ACCOUNT_FIELDS,
  checkAccountNumber,
  checkUsername,
  USER_FIELDS,
  USER_PROFILE_FIELDS,
} from './account.js';

export { AccountServiceService } from '../gen/keyward/account/v1/account_service.js';

const READ = 'keyward.accounts.read';
const WRITE = 'keyward.accounts.write';

/** The settings of a profile that gets the name of its user. */
const { name: _name, ...UNNAMED_FIELDS } = USER_PROFILE_FIELDS;

/** accountHandlers are all methods but ResolveId, which is about more than accounts. */
export function accountHandlers(
  service: AccountService,
  clock: Clock,
): Handlers<Omit<typeof AccountServiceService, 'resolveId'>> {
  const now = (): Instant => presentOf(clock);
  return {
    createAccount: {
      permission: WRITE,
      maxRequestBytes: MAX_DESCRIPTION_BYTES,
      handle: async (request, caller) => {
        const { by, accountNumber, settings } = readNewAccount(request, caller, now());
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
        const page = await service.listAccounts(caller, readList(request, ACCOUNT_COLUMNS, caller));
        return { accounts: page.items.map(toAccount), nextPageToken: page.nextPageToken };
      },
    },
    updateAccount: {
      permission: WRITE,
      maxRequestBytes: MAX_DESCRIPTION_BYTES,
      handle: async (request, caller) => {
        const { ref, change } = checked((v) => ({
          ref: readAccountSelector(v, 'selector', request.selector),
          change: readChange(
            v,
            ACCOUNT_FIELDS,
            { field: 'account', resource: request.account, mask: request.updateMask },
            now(),
          ),
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
        const { by, settings } = readNewUser(request, caller, now());
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
        const page = await service.listUsers(caller, readList(request, USER_COLUMNS, caller));
        return { users: page.items.map(toUser), nextPageToken: page.nextPageToken };
      },
    },
    updateUser: {
      permission: WRITE,
      handle: async (request, caller) => {
        const { ref, change } = checked((v) => ({
          ref: readUserSelector(v, 'selector', request.selector),
          change: readChange(
            v,
            USER_FIELDS,
            { field: 'user', resource: request.user, mask: request.updateMask },
            now(),
          ),
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
        const { by, user, account, settings, keepTokens } = readNewUserProfile(request, caller, now());
        const { result, propagation } = await service.createUserProfile(
          by,
          user,
          account,
          settings,
          keepTokens,
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
        const page = await service.listUserProfiles(caller, readList(request, USER_PROFILE_COLUMNS, caller));
        return { userProfiles: page.items.map(toUserProfile), nextPageToken: page.nextPageToken };
      },
    },
    updateUserProfile: {
      permission: WRITE,
      maxRequestBytes: MAX_DESCRIPTION_BYTES,
      handle: async (request, caller) => {
        const { ref, change } = checked((v) => ({
          ref: readUserProfileSelector(v, 'selector', request.selector),
          change: readChange(
            v,
            USER_PROFILE_FIELDS,
            { field: 'user_profile', resource: request.userProfile, mask: request.updateMask },
            now(),
          ),
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
  const deactivatedTokens = deactivated.first.map(({ id, keyId, name }) => ({
    id,
    recordLocator: recordLocator('token', id),
    keyId,
    name,
  }));
  return { deactivatedTokens, deactivatedCount: deactivated.count };
}

function readNewAccount(
  { accountNumber, requestId, ...given }: CreateAccountRequest,
  caller: Caller,
  now: Instant,
) {
  return checked((v) => {
    if (accountNumber !== '') checkAccountNumber(v, 'account_number', accountNumber);
    return {
      settings: readNew(v, ACCOUNT_FIELDS, given, now),
      by: readRepeatable(v, caller, 'CreateAccount', requestId),
      accountNumber: accountNumber === '' ? undefined : accountNumber,
    };
  });
}

function readNewUser({ username, requestId, ...given }: CreateUserRequest, caller: Caller, now: Instant) {
  return checked((v) => {
    checkUsername(v, 'username', username);
    return {
      settings: readNew(v, USER_FIELDS, given, now),
      by: readRepeatable(v, caller, 'CreateUser', requestId),
    };
  });
}

function readNewUserProfile(
  { user, account, name, keepTokens, requestId, ...given }: CreateUserProfileRequest,
  caller: Caller,
  now: Instant,
) {
  return checked((v) => ({
    settings:
      name === ''
        ? readNew(v, UNNAMED_FIELDS, given, now)
        : readNew(v, USER_PROFILE_FIELDS, { ...given, name }, now),
    by: readRepeatable(v, caller, 'CreateUserProfile', requestId),
    user: readUserSelector(v, 'user', user),
    account: readAccountSelector(v, 'account', account),
    keepTokens,
  }));
}

function readList(
  { pageSize, pageToken, filter, orderBy }: ListRequest,
  fields: ListFields,
  caller: Caller,
): PageQuery {
  return checked((v) => parseListRequest(v, { pageSize, pageToken, filter, orderBy }, fields, caller));
}
