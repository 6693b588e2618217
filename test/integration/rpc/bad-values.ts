import { randomBytes } from 'node:crypto';
import type { MethodName, RequestOf } from '../../support/rpc.js';

/** SECRET is part of every text below that breaks a rule: no error may quote it. */
export const SECRET = randomBytes(32).toString('hex');

/** A field that breaks one rule, and what to give the request for it. */
export type Case<Name extends MethodName> = readonly [field: string, change: RequestOf<Name>];

export const NUL = `${SECRET}\0`;
export const long = (length: number): string => SECRET.padEnd(length, 'x');
export const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `item-${index}`);

export const BAD_NAMES = [
  '',
  long(256),
  ` ${SECRET}`,
  `${SECRET} `,
  `${SECRET}\tx`,
  `${SECRET}\u00a0x`,
  `${SECRET}\u202etxt`,
  `${SECRET}\u200dx`,
  `${SECRET}e\u0301`,
  NUL,
];

/** The rules of the fields that accounts, profiles and tokens have in common. */
export const BAD_DESCRIPTIONS: readonly (readonly [string, object])[] = [
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

export const BAD_REQUEST_IDS: readonly (readonly [string, { readonly requestId: string }])[] = [
  SECRET,
  NUL,
  '00000000-0000-0000-0000-000000000000',
  '9bd81a7d5d7c4984a82dae975c5b61a2',
].map((requestId) => ['request_id', { requestId }]);

export const BAD_LISTS: readonly (readonly [string, RequestOf<'listTokens'>])[] = [
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
export function each<Name extends MethodName>(
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

export const accountSelector = (field: string, key = field) =>
  selectorCases(field, key, [
    ['account_number', one('accountNumber', '')],
    ['account_number', one('accountNumber', long(256))],
    ['account_number', one('accountNumber', NUL)],
  ]);

export const userSelector = (field: string, key = field) =>
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

export const profileSelector = (field: string, key = field) => [
  ...selectorCases(field, key, BAD_PROFILE_SELECTORS),
];

const ownedName = (owner: object | undefined, name = 'a') => one('ownedName', { owner, name });

const BAD_OWNED_NAMES: readonly (readonly [string, object])[] = [
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
];

export const tokenSelector = (field: string) =>
  selectorCases(field, field, [
    ['key_id', one('keyId', SECRET)],
    ['key_id', one('keyId', '')],
    ['key_id', one('keyId', '{00000000-0000-4000-8000-000000000000}')],
    ...BAD_OWNED_NAMES,
  ]);

export const secretSelector = (field: string) => selectorCases(field, field, BAD_OWNED_NAMES);

/** updates makes an update of each bad value: in the resource, and named by the mask. */
export function updates(
  key: string,
  field: string,
  cases: readonly (readonly [string, object])[],
): Case<never>[] {
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

export const names = (cases: readonly string[]) => cases.map((name): [string, object] => ['name', { name }]);

export const BAD_SCOPES: readonly (readonly [string, object])[] = [
  ['scopes', { scopes: many(65) }],
  ['scopes', { scopes: ['a', 'a'] }],
  ['scopes[1]', { scopes: ['a', `Bad ${SECRET}`] }],
  ['scopes[0]', { scopes: [''] }],
  ['scopes[0]', { scopes: [long(129)] }],
];

const time = (seconds: bigint, nanos = 0) => ({ seconds, nanos });
export const BAD_TIMES = [
  time(0n),
  time(1_000_000_000n),
  time(1n << 62n),
  time(4_000_000_000n, -1),
  time(253_402_300_800n),
];
const BAD_TTLS = [time(0n), time(-1n), time(1n, -1), time(1n << 62n), time(315_576_000_001n)];
export const BAD_GRACES = [
  time(-1n),
  time(0n, -1000),
  time(30n * 86_400n, 1000),
  time(1n << 62n),
  time(5n, -5),
];

/** Expiries of what shall begin now. */
export const BAD_EXPIRIES: readonly (readonly [string, object])[] = [
  ...BAD_TIMES.map((value): [string, object] => ['expires_at', { expiry: { $case: 'expiresAt', value } }]),
  ...BAD_TTLS.map((value): [string, object] => ['ttl', { expiry: { $case: 'ttl', value } }]),
];

const MAX_BYTES = 65_536;
export const BAD_PAYLOADS: readonly (readonly [string, object])[] = [
  undefined,
  {},
  { value: { $case: 'text', value: '' } },
  { value: { $case: 'data', value: Buffer.alloc(0) } },
  { value: { $case: 'text', value: long(MAX_BYTES + 1) } },
  // Fewer characters than bytes.
  { value: { $case: 'text', value: SECRET + 'é'.repeat(MAX_BYTES / 2) } },
  { value: { $case: 'data', value: Buffer.alloc(MAX_BYTES + 1, SECRET) } },
].map((payload) => ['payload', { payload }]);

export const BAD_VERSIONS: readonly (readonly [string, object])[] = [0, -1, -(2 ** 31)].map((version) => [
  'version',
  { version },
]);

export const BAD_REFERENCES: readonly (readonly [string, object])[] = [
  ...['', `Kind ${SECRET}`, 'a..b', '.a', 'a.', 'é', long(101)].map((kind): [string, object] => [
    'kind',
    { kind },
  ]),
  ...['', long(256), NUL].map((consumer): [string, object] => ['consumer', { consumer }]),
];

export const BAD_USERS: readonly (readonly [string, object])[] = [
  ['email', { email: SECRET }],
  ['email', { email: `${long(250)}@example.com` }],
  ['email', { email: `a b@${SECRET}` }],
  ['first_name', { firstName: long(151) }],
  ['first_name', { firstName: NUL }],
  ['last_name', { lastName: long(151) }],
  ['last_name', { lastName: NUL }],
];

export const BAD_COMPANIES: readonly (readonly [string, object])[] = [
  ['company_name', { companyName: long(256) }],
  ['company_name', { companyName: NUL }],
];

export const REQUIRED_SCOPES = [many(65), ['', 'a'], [`Bad ${SECRET}`], [long(129)]];

const BAD_STARTS = [
  ['revision', -1n],
  ...['', SECRET, '-1', '1.', '1.0', '01', '1.1.1', '9223372036854775808'].map((token) => [
    'resumeToken',
    token,
  ]),
];
const BAD_INTERVALS = [
  time(0n),
  time(0n, 999_999_999),
  time(300n, 1000),
  time(-1n),
  time(1n << 62n),
  time(5n, -5),
];

export const BAD_WATCHES: readonly (readonly [string, object])[] = [
  ...BAD_STARTS.map(([form, value]): [string, object] => [
    form === 'revision' ? 'revision' : 'resume_token',
    { start: { $case: form, value } },
  ]),
  ...BAD_INTERVALS.map((heartbeatInterval): [string, object] => [
    'heartbeat_interval',
    { heartbeatInterval },
  ]),
];

/** one makes a selector of one form. */
export function one(form: string, value: unknown) {
  return { selector: { $case: form, value } };
}
