import {
  type ACCOUNT_FIELDS,
  type USER_FIELDS,
  type USER_PROFILE_FIELDS,
  type AccountSettings,
  type UserProfileSettings,
  type UserSettings,
} from '../../src/account/account.js';
import type { Account, User, UserProfile } from '../../src/gen/keyward/account/v1/account.js';
import type {
  CreateAccountRequest,
  CreateUserProfileRequest,
  CreateUserRequest,
} from '../../src/gen/keyward/account/v1/account_service.js';
import type { Secret } from '../../src/gen/keyward/secret/v1/secret.js';
import type { CreateSecretRequest } from '../../src/gen/keyward/secret/v1/secret_service.js';
import type { Token } from '../../src/gen/keyward/token/v1/token.js';
import type { CreateTokenRequest } from '../../src/gen/keyward/token/v1/token_service.js';
import { type SECRET_FIELDS, type SecretSettings } from '../../src/secret/secret.js';
import { type TOKEN_FIELDS, type TokenSettings } from '../../src/token/token.js';

/** Samples are two states of a resource that differ in every field, and none of them is what a field has by itself. */
type Samples<Settings> = readonly [first: Settings, second: Settings];

/** Reasons says of each field of a message that the table has not why no owner can set it. */
type Reasons<Message, Table> = Readonly<Record<Exclude<keyof Message, keyof Table>, string>>;

const BY_SERVICE = 'set by the service';
const OF_NAME = 'follows from the name';
const OF_ID = 'follows from the id';
const FIXED = 'fixed from creation on';

const IDENTITY = {
  id: BY_SERVICE,
  hashedId: OF_ID,
  recordLocator: OF_ID,
  rfc1034Name: OF_NAME,
  snakeName: OF_NAME,
} as const;
const STATE = { ready: 'follows from state and time', isExpired: 'follows from the expiry' } as const;
const HISTORY = { createdAt: BY_SERVICE, updatedAt: BY_SERVICE, etag: BY_SERVICE } as const;

/** What owners cannot set, by message. Whoever adds a field to a message decides here, or in the table. */
export const NOT_SETTINGS = {
  token: {
    ...IDENTITY,
    ...STATE,
    ...HISTORY,
    keyId: BY_SERVICE,
    owner: FIXED,
    lastUsedAt: 'written when the token passes',
    identifier: 'follows from the plaintext',
    tokenKey: 'follows from the plaintext',
    graceEndsAt: 'RotateToken sets it',
    issuedBy: BY_SERVICE,
  } satisfies Reasons<Token, typeof TOKEN_FIELDS>,
  secret: {
    ...IDENTITY,
    ...STATE,
    ...HISTORY,
    owner: FIXED,
    lastAccessedAt: 'written when the value is read',
    latestVersion: 'AddSecretVersion moves it on',
    deletedAt: 'DeleteSecret sets it',
    purgeAt: 'DeleteSecret sets it',
  } satisfies Reasons<Secret, typeof SECRET_FIELDS>,
  account: {
    ...IDENTITY,
    ...HISTORY,
    accountNumber: FIXED,
    isPlatform: 'follows from the number',
  } satisfies Reasons<Account, typeof ACCOUNT_FIELDS>,
  user: { ...HISTORY, id: BY_SERVICE, username: FIXED } satisfies Reasons<User, typeof USER_FIELDS>,
  userProfile: {
    ...IDENTITY,
    ...HISTORY,
    userId: FIXED,
    username: 'that of the user',
    accountId: FIXED,
    accountNumber: 'that of the account',
  } satisfies Reasons<UserProfile, typeof USER_PROFILE_FIELDS>,
};

const EXPIRY = 'expires_at in another form';
const REQUEST = 'tells a repeated call';
const CHECKED = 'is about the call';
const PLACE = 'says where it is made';

/** What requests to create have besides the settings. */
export const NOT_SETTINGS_OF_REQUESTS = {
  token: { owner: PLACE, expiry: EXPIRY, requestId: REQUEST, validateOnly: CHECKED } satisfies Reasons<
    CreateTokenRequest,
    typeof TOKEN_FIELDS
  >,
  secret: {
    owner: PLACE,
    expiry: EXPIRY,
    payload: 'the first version',
    requestId: REQUEST,
    validateOnly: CHECKED,
  } satisfies Reasons<CreateSecretRequest, typeof SECRET_FIELDS>,
  account: { accountNumber: PLACE, requestId: REQUEST, validateOnly: CHECKED } satisfies Reasons<
    CreateAccountRequest,
    typeof ACCOUNT_FIELDS
  >,
  user: { username: PLACE, requestId: REQUEST, validateOnly: CHECKED } satisfies Reasons<
    CreateUserRequest,
    typeof USER_FIELDS
  >,
  userProfile: {
    user: PLACE,
    account: PLACE,
    keepTokens: 'is about tokens',
    requestId: REQUEST,
    validateOnly: CHECKED,
  } satisfies Reasons<CreateUserProfileRequest, typeof USER_PROFILE_FIELDS>,
};

const [SOON, LATER] = [4_000_000_000_000_000n, 4_100_000_000_000_000n];

const FIRST: UserProfileSettings = {
  name: 'First name',
  description: 'first',
  version: '1.1.1',
  tags: ['first', 'one'],
  annotations: new Map([['first', '1']]),
  manifestPath: '/first',
};
const SECOND: UserProfileSettings = {
  name: 'Second name',
  description: 'second',
  version: '2.2.2',
  tags: ['second'],
  annotations: new Map([['second', '2']]),
  manifestPath: '/second',
};

export const TOKENS: Samples<TokenSettings> = [
  { ...FIRST, scopes: ['first.read'], expiresAt: SOON, isActive: false, prefix: 'first-' },
  { ...SECOND, scopes: ['second.read'], expiresAt: LATER, isActive: true, prefix: 'second-' },
];
export const SECRETS: Samples<SecretSettings> = [
  { ...FIRST, expiresAt: SOON },
  { ...SECOND, expiresAt: LATER },
];
export const ACCOUNTS: Samples<AccountSettings> = [
  { ...FIRST, companyName: 'First', isActive: false },
  { ...SECOND, companyName: 'Second', isActive: true },
];
export const USERS: Samples<UserSettings> = [
  {
    email: 'first@example.com',
    firstName: 'First',
    lastName: 'One',
    isActive: false,
    isStaff: true,
    isSuperuser: true,
  },
  {
    email: 'second@example.com',
    firstName: 'Second',
    lastName: 'Two',
    isActive: true,
    isStaff: false,
    isSuperuser: false,
  },
];
export const USER_PROFILES: Samples<UserProfileSettings> = [FIRST, SECOND];
