import type { MethodName } from '../../support/rpc.js';
import {
  SECRET,
  NUL,
  long,
  many,
  BAD_NAMES,
  BAD_DESCRIPTIONS,
  BAD_LISTS,
  BAD_REQUEST_IDS,
  each,
  accountSelector,
  userSelector,
  profileSelector,
  tokenSelector,
  secretSelector,
  updates,
  names,
  BAD_SCOPES,
  BAD_TIMES,
  BAD_GRACES,
  BAD_EXPIRIES,
  BAD_PAYLOADS,
  BAD_VERSIONS,
  BAD_VERSION_TEXTS,
  BAD_REFERENCES,
  BAD_USERS,
  BAD_COMPANIES,
  BAD_WATCHES,
  REQUIRED_SCOPES,
  one,
  type Case,
} from './bad-values.js';

/** A document of a secret whose value the client has to send. */
const WITH_VALUE = JSON.stringify({
  apiVersion: 'keyward/v1',
  kind: 'Secret',
  metadata: { name: 'x' },
  spec: { valueFrom: { env: 'X' } },
});

/** inResource makes cases of a selector those of one that stands in `resource`. */
function inResource(form: string, cases: readonly (readonly [string, object])[]): Case<'getManifest'>[] {
  return cases.flatMap(([field, change]) => {
    const [value] = Object.values(change) as unknown[];
    return value === undefined
      ? []
      : [[field, { resource: { $case: form, value } } as Case<'getManifest'>[1]] as const];
  });
}

function opening(change: object): Case<'holdVerdicts'>[1] {
  const clientId = '00000000-0000-4000-8000-000000000001';
  return { message: { $case: 'open', value: { clientId, label: 'a-test', agent: 'a test', ...change } } };
}

/** Of each RPC each field, with a value for each rule that it breaks. */
export const BAD_REQUESTS: { readonly [Name in MethodName]: readonly Case<Name>[] } = {
  validateToken: each('required_scopes', 'requiredScopes', REQUIRED_SCOPES),
  streamValidateTokens: each('required_scopes', 'requiredScopes', REQUIRED_SCOPES),
  listReplicas: [],
  holdVerdicts: [
    ['message', { message: undefined }],
    ['open.client_id', opening({ clientId: 'none' })],
    ['open.label', opening({ label: SECRET + ' ' })],
    ['open.agent', opening({ agent: long(64) })],
    ['open.secret_ids', opening({ secretIds: [1n] })],
    ['look_up', { message: { $case: 'lookUp', value: {} } }],
    ['access', { message: { $case: 'access', value: {} } }],
    ['renewal', { message: { $case: 'renewal', value: {} } }],
    ['acknowledgement', { message: { $case: 'acknowledgement', value: {} } }],
    ['left', { message: { $case: 'left', value: {} } }],
  ],
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
    ...BAD_EXPIRIES,
    ...each<'createToken'>('prefix', 'prefix', [SECRET, 'a b', 'é', 'a\t']),
    ...BAD_REQUEST_IDS,
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
  cloneToken: [
    ...tokenSelector('selector'),
    ...each<'cloneToken'>('new_name', 'newName', BAD_NAMES),
    ...each<'cloneToken'>('new_version', 'newVersion', BAD_VERSION_TEXTS),
    ...profileSelector('owner').slice(1),
    ...BAD_REQUEST_IDS,
  ],
  transferToken: [...tokenSelector('selector'), ...profileSelector('owner')],
  activateToken: tokenSelector('selector'),
  deactivateToken: tokenSelector('selector'),
  toggleToken: tokenSelector('selector'),
  rotateToken: [
    ...tokenSelector('selector'),
    ...each<'rotateToken'>('grace_period', 'gracePeriod', BAD_GRACES),
    ...BAD_REQUEST_IDS,
  ],
  revokeToken: tokenSelector('selector'),
  revokeUserTokens: userSelector('user'),
  attachTokenReference: [...tokenSelector('selector'), ...BAD_REFERENCES],
  detachTokenReference: [...tokenSelector('selector'), ...BAD_REFERENCES],
  listTokenReferences: [...tokenSelector('token'), ...BAD_LISTS],
  watchTokens: BAD_WATCHES,

  createSecret: [
    ...profileSelector('owner').slice(1),
    ...names(BAD_NAMES),
    ...BAD_DESCRIPTIONS,
    ...BAD_EXPIRIES,
    ...BAD_PAYLOADS,
    ...BAD_REQUEST_IDS,
  ],
  getSecret: secretSelector('secret'),
  listSecrets: [...BAD_LISTS, ['filter', { filter: `latest_version = "${SECRET}"` }]],
  updateSecret: [
    ...secretSelector('selector'),
    ...updates('secret', 'secret', [
      ...BAD_DESCRIPTIONS,
      ['version', { version: '' }],
      ...BAD_TIMES.map((expiresAt): [string, object] => ['expires_at', { expiresAt }]),
    ]),
    ['update_mask', { updateMask: ['name'] }],
    ['update_mask', { updateMask: ['latest_version'] }],
  ],
  renameSecret: [...secretSelector('selector'), ...each<'renameSecret'>('new_name', 'newName', BAD_NAMES)],
  cloneSecret: [
    ...secretSelector('selector'),
    ...each<'cloneSecret'>('new_name', 'newName', BAD_NAMES),
    ...each<'cloneSecret'>('new_version', 'newVersion', BAD_VERSION_TEXTS),
    ...profileSelector('owner').slice(1),
    ...BAD_REQUEST_IDS,
  ],
  transferSecret: [...secretSelector('selector'), ...profileSelector('owner')],
  deleteSecret: secretSelector('selector'),
  undeleteSecret: secretSelector('selector'),
  addSecretVersion: [...secretSelector('selector'), ...BAD_PAYLOADS, ...BAD_REQUEST_IDS],
  listSecretVersions: [...secretSelector('secret'), ...BAD_LISTS],
  disableSecretVersion: [...secretSelector('selector'), ...BAD_VERSIONS],
  enableSecretVersion: [...secretSelector('selector'), ...BAD_VERSIONS],
  destroySecretVersion: [...secretSelector('selector'), ...BAD_VERSIONS],
  accessSecret: [...secretSelector('secret'), ...BAD_VERSIONS.slice(1)],
  batchAccessSecrets: [
    ['requests', { requests: [] }],
    ['requests', { requests: many(101).map(() => ({ secret: one('id', 1n) })) }] as never,
    ...[...secretSelector('secret'), ...BAD_VERSIONS.slice(1)].map(([field, change]) => {
      const good = { secret: one('id', 1n) };
      return [`requests[1].${field}`, { requests: [good, { ...good, ...change }] }] as never;
    }),
  ],
  attachReference: [...secretSelector('selector'), ...BAD_REFERENCES],
  detachReference: [...secretSelector('selector'), ...BAD_REFERENCES],
  listReferences: [...secretSelector('secret'), ...BAD_LISTS],
  grantAccess: [
    ...secretSelector('selector'),
    ...profileSelector('user_profile', 'userProfile'),
    ...BAD_EXPIRIES,
  ],
  revokeAccess: [...secretSelector('selector'), ...profileSelector('user_profile', 'userProfile')],
  listGrants: [...secretSelector('secret'), ...BAD_LISTS],
  rotateEncryptionKey: each('batch_size', 'batchSize', [-1, 1001, 2 ** 31 - 1]),
  getRotationStatus: [],
  watchSecrets: BAD_WATCHES,

  applyManifest: [
    ...each<'applyManifest'>('manifest', 'manifest', [
      '',
      '# nothing',
      '[]',
      `a: "${NUL}"`,
      '['.repeat(1 << 20),
    ]),
    ...each<'applyManifest'>('document[0]', 'manifest', [SECRET, `a: "${SECRET}`, `a: !${SECRET} x`]),
    ['document[0].kind', { manifest: JSON.stringify({ apiVersion: 'keyward/v1', kind: SECRET }) }],
    ...each<'applyManifest'>('update_mask', 'updateMask', [[], [SECRET], ['metadata.name', 'spec.owner']]),
    [
      'secret_values[0].document',
      { secretValues: [{ payload: { value: { $case: 'text', value: SECRET } } }] },
    ],
    [
      'secret_values[0].document',
      { secretValues: [{ document: -1, payload: { value: { $case: 'text', value: 'a' } } }] },
    ],
    ['secret_values[0].payload', { manifest: WITH_VALUE, secretValues: [{ document: 0 }] }],
    ['document[0].spec.valueFrom', { manifest: WITH_VALUE }],
  ],
  getManifest: [
    ...inResource('token', tokenSelector('token')),
    ...inResource('secret', secretSelector('secret')),
    ...inResource('account', accountSelector('account')),
    ...inResource('user', userSelector('user')),
    ...inResource('userProfile', profileSelector('user_profile')),
    ['resource', { resource: undefined }],
    ...each<'getManifest'>('format', 'format', [99]),
  ],

  listAuditEvents: [
    // The field for times has another name here.
    ...BAD_LISTS.filter(([, { filter = '' }]) => !filter.includes('created_at')),
    ['filter', { filter: `occurred_at > "${SECRET}"` }],
    ['filter', { filter: 'occurred_at > "2026-02-30T00:00:00Z"' }],
    ['filter', { filter: `resource_id = ${SECRET}` }],
    ['filter', { filter: 'created_at = null' }],
    ['order_by', { orderBy: 'action' }],
  ],

  listImportConflicts: [
    ...BAD_LISTS.filter(([, { filter = '' }]) => !filter.includes('created_at')),
    ['filter', { filter: `id = ${SECRET}` }],
    ['filter', { filter: 'found_at > "2026-02-30T00:00:00Z"' }],
    ['order_by', { orderBy: 'kind' }],
  ],

  createAccount: [
    ...each<'createAccount'>('account_number', 'accountNumber', [
      SECRET,
      '1234-1234-123',
      '１２３４-1234-1234',
    ]),
    ...names(BAD_NAMES),
    ...BAD_COMPANIES,
    ...BAD_DESCRIPTIONS,
    ...BAD_REQUEST_IDS,
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
    ...BAD_REQUEST_IDS,
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
    ...BAD_REQUEST_IDS,
  ],
  getUserProfile: profileSelector('user_profile', 'userProfile'),
  listUserProfiles: BAD_LISTS,
  updateUserProfile: [
    ...profileSelector('selector'),
    ...updates('userProfile', 'user_profile', [...names(BAD_NAMES), ...BAD_DESCRIPTIONS]),
    ['update_mask', { updateMask: ['user_id'] }],
  ],
  deleteUserProfile: profileSelector('selector'),
  resolveId: each('text', 'text', ['', long(32_769)]),
};

/** Fields that have no rule of their own: any value is a good one. */
export const FREE_FIELDS = new Set([
  'dry_run',
  'validate_only',
  'etag',
  'force',
  'include_expired',
  'is_active',
  'is_staff',
  'is_superuser',
  'keep_tokens',
  'show_deleted',
  'skip_access_time',
]);
