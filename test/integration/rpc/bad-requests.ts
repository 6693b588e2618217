import { randomBytes } from 'node:crypto';
import type { MethodName, RequestOf } from '../../support/rpc.js';

/** SECRET is part of every text below that breaks a rule: no error may quote it. */
export const SECRET = randomBytes(32).toString('hex');

/** A field that breaks one rule, and what to give the request for it. */
type Case<Name extends MethodName> = readonly [field: string, change: RequestOf<Name>];

const NUL = `${SECRET}\0`;
const long = (length: number): string => SECRET.padEnd(length, 'x');
const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `item-${index}`);

const BAD_NAMES = [
  '',
  long(256),
  ` ${SECRET}`,
  `${SECRET}-`,
  `${SECRET}/x`,
  `a  ${SECRET}`,
  `${SECRET}é`,
  NUL,
];

/** The rules of the fields that accounts, profiles and tokens have in common. */
const BAD_DESCRIPTIONS: readonly (readonly [string, object])[] = [
  ['description', { description: long(10_001) }],
  ['description', { description: NUL }],
  ['version', { version: SECRET }],
  ['version', { version: '1.0' }],
  ['version', { version: `1.0.0-${long(250)}` }],
  ['tags', { tags: many(65) }],
  ['tags', { tags: [SECRET, SECRET] }],
  ['tags[1]', { tags: ['a', ''] }],
  ['tags[0]', { tags: [long(101)] }],
  ['tags[1]', { tags: ['a', NUL] }],
  ['annotations', { annotations: new Map(many(65).map((key) => [key, 'x'])) }],
  ['annotations[0].key', { annotations: new Map([['', SECRET]]) }],
  ['annotations[0].key', { annotations: new Map([[long(254), 'x']]) }],
  ['annotations[0].key', { annotations: new Map([[NUL, 'x']]) }],
  ['annotations[0].value', { annotations: new Map([['a', long(4097)]]) }],
  ['annotations[0].value', { annotations: new Map([['a', NUL]]) }],
  ['manifest_path', { manifestPath: long(1025) }],
  ['manifest_path', { manifestPath: NUL }],
];

const BAD_LISTS: readonly (readonly [string, RequestOf<'listTokens'>])[] = [
  ['page_size', { pageSize: -1 }],
  ['page_token', { pageToken: SECRET }],
  ['page_token', { pageToken: Buffer.from(JSON.stringify([SECRET, '1'])).toString('base64url') }],
  ['page_token', { pageToken: long(5000) }],
  ['filter', { filter: SECRET }],
  ['filter', { filter: `nothing = "${SECRET}"` }],
  ['filter', { filter: `constructor = "${SECRET}"` }],
  ['filter', { filter: `created_at > "${SECRET}"` }],
  ['filter', { filter: `created_at > "2026-02-30T00:00:00Z"` }],
  ['filter', { filter: `created_at : "2026-01-01T00:00:00Z"` }],
  ['filter', { filter: `created_at > null` }],
  ['filter', { filter: `created_at = null OR ${SECRET} = 1` }],
  ['filter', { filter: `created_at = null AND` }],
  ['filter', { filter: `created_at = null AND "${SECRET}` }],
  ['filter', { filter: `"${long(2001)}"` }],
  ['filter', { filter: many(21).fill('created_at != null').join(' AND ') }],
  ['order_by', { orderBy: SECRET }],
  ['order_by', { orderBy: 'id, id' }],
  ['order_by', { orderBy: 'id downwards' }],
  ['order_by', { orderBy: 'id,,created_at' }],
  ['order_by', { orderBy: many(6).join() }],
];

/** The fields of this request that are of the given names, each with its values. */
function each<Name extends MethodName>(
  field: string,
  key: keyof RequestOf<Name> & string,
  values: readonly unknown[],
): Case<Name>[] {
  return values.map((value) => [field, { [key]: value } as RequestOf<Name>] as const);
}

function selectorCases(
  field: string,
  key: string,
  more: readonly (readonly [string, object])[] = [],
): Case<never>[] {
  const cases: [string, object][] = [
    [field, { [key]: undefined }],
    [field, { [key]: {} }],
    [`${field}.id`, { [key]: one('id', 0n) }],
    [`${field}.id`, { [key]: one('id', -1n) }],
    ...more.map(([sub, value]): [string, object] => [`${field}.${sub}`, { [key]: value }]),
  ];
  return cases as unknown as Case<never>[];
}

const accountSelector = (field: string, key = field) =>
  selectorCases(field, key, [
    ['account_number', one('accountNumber', '')],
    ['account_number', one('accountNumber', long(256))],
    ['account_number', one('accountNumber', NUL)],
  ]);

const userSelector = (field: string, key = field) =>
  selectorCases(field, key, [
    ['username', one('username', '')],
    ['username', one('username', long(151))],
    ['username', one('username', NUL)],
  ]);

const BAD_PROFILE_SELECTORS: readonly (readonly [string, object])[] = [
  ['membership.username', one('membership', { username: '', accountNumber: '1' })],
  ['membership.username', one('membership', { username: NUL, accountNumber: '1' })],
  ['membership.account_number', one('membership', { username: 'a', accountNumber: '' })],
  ['membership.account_number', one('membership', { username: 'a', accountNumber: long(256) })],
];

const profileSelector = (field: string, key = field) => [...selectorCases(field, key, BAD_PROFILE_SELECTORS)];

const ownedName = (owner: object | undefined, name = 'a') => one('ownedName', { owner, name });

const tokenSelector = (field: string) =>
  selectorCases(field, field, [
    ['key_id', one('keyId', SECRET)],
    ['key_id', one('keyId', '')],
    ['key_id', one('keyId', '{00000000-0000-4000-8000-000000000000}')],
    ['owned_name.owner', ownedName(undefined)],
    ['owned_name.name', ownedName({ $case: 'accountNumber', value: '1' }, '')],
    ['owned_name.name', ownedName({ $case: 'accountNumber', value: '1' }, long(256))],
    ['owned_name.name', ownedName({ $case: 'accountNumber', value: '1' }, NUL)],
    ['owned_name.account_number', ownedName({ $case: 'accountNumber', value: '' })],
    ['owned_name.account_number', ownedName({ $case: 'accountNumber', value: NUL })],
    ['owned_name.user_profile', ownedName({ $case: 'userProfile', value: {} })],
    ['owned_name.user_profile.id', ownedName({ $case: 'userProfile', value: one('id', 0n) })],
    ...BAD_PROFILE_SELECTORS.map(([field, value]): [string, object] => [
      `owned_name.user_profile.${field}`,
      ownedName({ $case: 'userProfile', value }),
    ]),
  ]);

/** updates makes an update of each bad value: in the resource, and named by the mask. */
function updates(key: string, field: string, cases: readonly (readonly [string, object])[]): Case<never>[] {
  const all = cases.map(([path, change]): [string, object] => {
    const masked = path.split(/[.[]/)[0] ?? '';
    return [`${field}.${path}`, { [key]: change, updateMask: [masked] }];
  });
  const masks: [string, object][] = [
    ['update_mask', { updateMask: undefined }],
    ['update_mask', { updateMask: [] }],
    ['update_mask', { updateMask: [SECRET] }],
    ['update_mask', { updateMask: ['description', 'id'] }],
    ['update_mask', { updateMask: ['__proto__'] }],
    ['update_mask', { updateMask: ['*'] }],
  ];
  return [...all, ...masks] as unknown as Case<never>[];
}

const names = (cases: readonly string[]) => cases.map((name): [string, object] => ['name', { name }]);

const BAD_SCOPES: readonly (readonly [string, object])[] = [
  ['scopes', { scopes: many(65) }],
  ['scopes', { scopes: ['a', 'a'] }],
  ['scopes[1]', { scopes: ['a', `Bad ${SECRET}`] }],
  ['scopes[0]', { scopes: [''] }],
  ['scopes[0]', { scopes: [long(129)] }],
];

const time = (seconds: bigint, nanos = 0) => ({ seconds, nanos });
const BAD_TIMES = [
  time(0n),
  time(1_000_000_000n),
  time(1n << 62n),
  time(4_000_000_000n, -1),
  time(253_402_300_800n),
];
const BAD_TTLS = [time(0n), time(-1n), time(1n, -1), time(1n << 62n), time(315_576_000_001n)];
const BAD_GRACES = [time(-1n), time(0n, -1000), time(30n * 86_400n, 1000), time(1n << 62n), time(5n, -5)];

const BAD_USERS: readonly (readonly [string, object])[] = [
  ['email', { email: SECRET }],
  ['email', { email: `${long(250)}@example.com` }],
  ['email', { email: `a b@${SECRET}` }],
  ['first_name', { firstName: long(151) }],
  ['first_name', { firstName: NUL }],
  ['last_name', { lastName: long(151) }],
  ['last_name', { lastName: NUL }],
];

const BAD_COMPANIES: readonly (readonly [string, object])[] = [
  ['company_name', { companyName: long(256) }],
  ['company_name', { companyName: NUL }],
];

const REQUIRED_SCOPES = [many(65), ['', 'a'], [`Bad ${SECRET}`], [long(129)]];

/** Of each RPC each field, with a value for each rule that it breaks. */
export const BAD_REQUESTS: { readonly [Name in MethodName]: readonly Case<Name>[] } = {
  validateToken: each('required_scopes', 'requiredScopes', REQUIRED_SCOPES),
  batchValidateTokens: [
    ['requests', { requests: [] }],
    ['requests', { requests: many(1001).map((token) => ({ token })) }],
    ...REQUIRED_SCOPES.map((requiredScopes): Case<'batchValidateTokens'> => [
      'requests[1].required_scopes',
      { requests: [{ token: 'a' }, { token: SECRET, requiredScopes }] },
    ]),
  ],
  createToken: [
    ...profileSelector('owner').slice(1),
    ...names(BAD_NAMES),
    ...BAD_DESCRIPTIONS,
    ...BAD_SCOPES,
    ...BAD_TIMES.map((value): Case<'createToken'> => [
      'expires_at',
      { expiry: { $case: 'expiresAt', value } },
    ]),
    ...BAD_TTLS.map((value): Case<'createToken'> => ['ttl', { expiry: { $case: 'ttl', value } }]),
    ...each<'createToken'>('prefix', 'prefix', [SECRET, 'a b', 'é', 'a.b']),
  ],
  getToken: tokenSelector('token'),
  listTokens: [
    ...BAD_LISTS,
    ['filter', { filter: `key_id = "${SECRET}"` }],
    ['filter', { filter: `user_profile_id = ${SECRET}` }],
    ['filter', { filter: `is_active = "${SECRET}"` }],
    ['filter', { filter: 'tag > "a"' }],
  ],
  updateToken: [
    ...tokenSelector('selector'),
    ...updates('token', 'token', [
      ...BAD_DESCRIPTIONS,
      ['version', { version: '' }],
      ...BAD_SCOPES,
      ['scopes', { scopes: [] }],
      ...BAD_TIMES.map((expiresAt): [string, object] => ['expires_at', { expiresAt }]),
    ]),
    ['update_mask', { updateMask: ['name'] }],
    ['update_mask', { updateMask: ['is_active'] }],
  ],
  renameToken: [...tokenSelector('selector'), ...each<'renameToken'>('new_name', 'newName', BAD_NAMES)],
  cloneToken: [...tokenSelector('selector'), ...each<'cloneToken'>('new_name', 'newName', BAD_NAMES)],
  activateToken: tokenSelector('selector'),
  deactivateToken: tokenSelector('selector'),
  toggleToken: tokenSelector('selector'),
  rotateToken: [
    ...tokenSelector('selector'),
    ...each<'rotateToken'>('grace_period', 'gracePeriod', BAD_GRACES),
  ],
  revokeToken: tokenSelector('selector'),
  revokeUserTokens: userSelector('user'),

  createAccount: [
    ...each<'createAccount'>('account_number', 'accountNumber', [
      SECRET,
      '1234-1234-123',
      '１２３４-1234-1234',
    ]),
    ...names(BAD_NAMES),
    ...BAD_COMPANIES,
    ...BAD_DESCRIPTIONS,
  ],
  getAccount: accountSelector('account'),
  listAccounts: BAD_LISTS,
  updateAccount: [
    ...accountSelector('selector'),
    ...updates('account', 'account', [...names(BAD_NAMES), ...BAD_COMPANIES, ...BAD_DESCRIPTIONS]),
    ['update_mask', { updateMask: ['account_number'] }],
  ],
  deleteAccount: accountSelector('selector'),
  createUser: [
    ...each<'createUser'>('username', 'username', ['', long(151), `${SECRET} x`, `${SECRET}/`, NUL]),
    ...BAD_USERS,
  ],
  getUser: userSelector('user'),
  listUsers: BAD_LISTS,
  updateUser: [
    ...userSelector('selector'),
    ...updates('user', 'user', BAD_USERS),
    ['update_mask', { updateMask: ['username'] }],
  ],
  deleteUser: userSelector('selector'),
  createUserProfile: [
    ...userSelector('user'),
    ...accountSelector('account'),
    ...names(BAD_NAMES.slice(1)),
    ...BAD_DESCRIPTIONS,
  ],
  getUserProfile: profileSelector('user_profile', 'userProfile'),
  listUserProfiles: BAD_LISTS,
  updateUserProfile: [
    ...profileSelector('selector'),
    ...updates('userProfile', 'user_profile', [...names(BAD_NAMES), ...BAD_DESCRIPTIONS]),
    ['update_mask', { updateMask: ['user_id'] }],
  ],
  deleteUserProfile: profileSelector('selector'),
};

/** Fields that have no rule of their own: any value is a good one. */
export const FREE_FIELDS = new Set(['etag', 'force', 'is_active', 'is_staff', 'is_superuser']);

function one(form: string, value: unknown) {
  return { selector: { $case: form, value } };
}
