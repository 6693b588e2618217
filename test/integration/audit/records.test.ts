import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newestEvent, readEvents, verify, type StoredEvent } from '../../support/audit.js';
import { openDatabase } from '../../../src/db/knex.js';
import { TEST_KEY } from '../../support/keyring.js';
import { byId, REQUESTS } from '../../support/requests.js';
import { METHOD_NAMES, Peer, type MethodName, type RequestOf } from '../../support/rpc.js';
import { certificateOptions, MUTUAL_TLS, startTestServer } from '../../support/server.js';
import { connected, execute } from '../../support/sql.js';
import { connectTo, newKey, sealed, storeSecrets } from '../../support/stored-secrets.js';
import { ACCOUNT_A, existing, World } from '../../support/world.js';

/** Values under it are to be encrypted anew. */
const OLD_KEY = newKey();
const KEYS = { KEYWARD_FERNET_KEYS: `${TEST_KEY},${OLD_KEY}` };

let world: World;
let admin: Peer;

beforeAll(async () => {
  world = await World.create(KEYS);
  admin = new Peer(world.server.address, { token: world.adminToken });
});

afterAll(async () => {
  admin.close();
  await world.close();
});

/** recordsOf calls as the superuser and gives what the call recorded. */
async function recordsOf<Name extends MethodName>(
  method: Name,
  request: RequestOf<Name>,
  expected = 'OK',
  peer = admin,
): Promise<StoredEvent[]> {
  const before = await newestEvent(world.database.url);
  expect(await peer.call(method, request)).toMatchObject({ code: expected });
  return readEvents(world.database.url, before);
}

/** What each method records, when it changes something. */
const RECORDS = {
  createToken: ['TOKEN_CREATED token'],
  updateToken: ['TOKEN_EDITED token fields=description'],
  renameToken: ['TOKEN_RENAMED token'],
  transferToken: [
    'TOKEN_TRANSFERRED token to_user_profile_id',
    'TOKEN_TRANSFERRED token from_user_profile_id',
  ],
  attachTokenReference: ['TOKEN_REFERENCE_ATTACHED token kind=llm_client.api_key reference_id'],
  detachTokenReference: ['TOKEN_REFERENCE_DETACHED token kind=llm_client.api_key reference_id'],
  cloneToken: ['TOKEN_CLONED token copy', 'TOKEN_CREATED token original'],
  activateToken: ['TOKEN_ACTIVATED token'],
  deactivateToken: ['TOKEN_DEACTIVATED token'],
  toggleToken: ['TOKEN_DEACTIVATED token'],
  rotateToken: ['TOKEN_ROTATED token'],
  revokeToken: ['TOKEN_DELETED token'],
  revokeUserTokens: ['TOKEN_DELETED token'],
  applyManifest: ['TOKEN_CREATED token'],
  createSecret: ['SECRET_CREATED secret', 'SECRET_READY secret'],
  updateSecret: ['SECRET_EDITED secret fields=description'],
  renameSecret: ['SECRET_RENAMED secret'],
  cloneSecret: [
    'SECRET_CREATED secret source_id',
    'SECRET_READY secret',
    'SECRET_CLONED secret clone_id version=1',
  ],
  deleteSecret: ['SECRET_DELETED secret'],
  undeleteSecret: ['SECRET_UNDELETED secret', 'SECRET_READY secret'],
  addSecretVersion: ['SECRET_VERSION_ADDED secret version=2'],
  disableSecretVersion: ['SECRET_VERSION_DISABLED secret version=1'],
  enableSecretVersion: ['SECRET_VERSION_ENABLED secret version=1', 'SECRET_READY secret'],
  destroySecretVersion: ['SECRET_VERSION_DESTROYED secret version=1'],
  transferSecret: [
    'SECRET_TRANSFERRED secret from_user_profile_id',
    'SECRET_TRANSFERRED secret to_user_profile_id',
  ],
  attachReference: ['SECRET_REFERENCE_ATTACHED secret kind=provider.api_key reference_id'],
  detachReference: ['SECRET_REFERENCE_DETACHED secret kind=provider.api_key reference_id'],
  grantAccess: ['SECRET_GRANTED secret user_profile_id'],
  revokeAccess: ['SECRET_GRANT_REVOKED secret user_profile_id'],
  rotateEncryptionKey: ['SECRETS_REENCRYPTED keyring key_id versions=1'],
  createAccount: ['ACCOUNT_CREATED account'],
  updateAccount: ['ACCOUNT_EDITED account fields=company_name'],
  deleteAccount: ['ACCOUNT_DELETED account secrets=0 tokens=0 user_profiles=0'],
  createUser: ['USER_CREATED user'],
  updateUser: ['USER_EDITED user fields=first_name'],
  deleteUser: ['USER_DELETED user secrets=0 tokens=0 user_profiles=0'],
  createUserProfile: ['USER_PROFILE_CREATED user_profile'],
  updateUserProfile: ['USER_PROFILE_EDITED user_profile fields=description'],
  deleteUserProfile: ['USER_PROFILE_DELETED user_profile secrets=0 tokens=0'],
} as const satisfies Partial<Record<MethodName, readonly string[]>>;

/** The methods that change nothing. Accesses to values are recorded too, apart from any change. */
const READING: readonly MethodName[] = [
  'validateToken',
  'batchValidateTokens',
  'streamValidateTokens',
  'holdVerdicts',
  'listReplicas',
  'getManifest',
  'getToken',
  'listTokens',
  'watchTokens',
  'getSecret',
  'listSecrets',
  'watchSecrets',
  'listSecretVersions',
  'listReferences',
  'listTokenReferences',
  'listGrants',
  'accessSecret',
  'batchAccessSecrets',
  'getRotationStatus',
  'listAuditEvents',
  'listImportConflicts',
  'getAccount',
  'listAccounts',
  'getUser',
  'listUsers',
  'getUserProfile',
  'listUserProfiles',
  'resolveId',
];

/** Requests for which something has to be in another state first. */
const PREPARED: { readonly [Name in MethodName]?: () => Promise<RequestOf<Name>> } = {
  activateToken: async () => ({ selector: byId(await world.issue('owner-a', { isActive: false })) }),
  enableSecretVersion: async () => {
    const version = { selector: byId(await world.keep('owner-a')), version: 1 };
    await world.admin.secrets.disableSecretVersion(version);
    return version;
  },
  rotateEncryptionKey: async () => {
    const knex = connectTo(world.database.url, 1);
    await storeSecrets(knex, world.profileOf('owner-a').id, OLD_KEY, [
      { versions: [sealed(OLD_KEY, 'value')] },
    ]);
    await knex.destroy();
    return {};
  },
};

async function changing<Name extends keyof typeof RECORDS>(method: Name): Promise<RequestOf<Name>> {
  const prepare: (world: World) => Promise<RequestOf<Name>> | RequestOf<Name> =
    PREPARED[method] ?? REQUESTS[method];
  return prepare(world);
}

/** A row, but for what a timer writes. */
const ROW = "(to_jsonb(t) - 'last_used_at')::text AS row";

const METHODS = Object.keys(RECORDS) as (keyof typeof RECORDS)[];

function inShort({ action, kind, detail }: StoredEvent): string {
  const isNumber = (name: string): boolean => /^(copy|original)$|_id$/.test(name);
  const facts = Object.entries(detail).map(([name, fact]) => (isNumber(name) ? name : `${name}=${fact}`));
  return [action, kind, ...facts.sort()].join(' ');
}

test('every method is one that changes something, with its records, or one that does not', () => {
  expect([...METHODS, ...READING].sort()).toEqual([...METHOD_NAMES].sort());
});

describe.each(METHODS)('%s', (method) => {
  test('records what it did, by whom and on which resource', async () => {
    const request = await changing(method);
    const records = await recordsOf(method, request);
    expect(records.map(inShort)).toEqual(RECORDS[method]);
    for (const { actor, outcome, resourceId } of records) {
      expect({ actor, outcome }).toEqual({ actor: 'admin', outcome: 'OK' });
      if (method === 'rotateEncryptionKey') expect(resourceId).toBeNull();
      else expect(resourceId).toBeGreaterThan(0n);
    }
  });

  test('changes nothing if its record cannot be written', async () => {
    const request = await changing(method);
    const tables = ['accounts', 'users', 'user_profiles', 'tokens', 'token_digests', 'secrets'];
    tables.push('secret_versions', 'secret_references', 'secret_grants', 'token_references');
    const state = () =>
      connected(world.database.url, async (run) => {
        const rows: unknown[] = [];
        for (const table of tables) rows.push(await run(`SELECT ${ROW} FROM ${table} t ORDER BY 1`));
        return rows;
      });
    const before = await state();
    const newest = await newestEvent(world.database.url);
    await execute(
      world.database.url,
      'ALTER TABLE audit_events ADD CONSTRAINT refuse CHECK (false) NOT VALID',
    );
    try {
      expect(await admin.call(method, request)).toMatchObject({ code: 'INTERNAL' });
    } finally {
      await execute(world.database.url, 'ALTER TABLE audit_events DROP CONSTRAINT refuse');
    }
    expect(await state()).toEqual(before);
    expect(await readEvents(world.database.url, newest)).toEqual([]);
  });

  test('records nothing if it is refused, but who tried to clone a value', async () => {
    const request = await changing(method);
    const stranger = new Peer(world.server.address, { token: world.tokenOf('staff-b') });
    const before = await newestEvent(world.database.url);
    const { code } = await stranger.call(method, request);
    expect(['NOT_FOUND', 'PERMISSION_DENIED']).toContain(code);
    const tried = { action: 'SECRET_CLONED', outcome: 'NOT_FOUND', actor: 'staff-b' };
    const records = await readEvents(world.database.url, before);
    expect(records).toMatchObject(method === 'cloneSecret' ? [tried] : []);
    stranger.close();
  });
});

test('switching on is recorded, and what is so already is not', async () => {
  const selector = byId(await world.issue('owner-a', { isActive: false }));
  expect((await recordsOf('activateToken', { selector })).map(inShort)).toEqual(['TOKEN_ACTIVATED token']);
  expect(await recordsOf('activateToken', { selector })).toEqual([]);
  const { id, name } = await world.issue('owner-a');
  expect(await recordsOf('renameToken', { selector: byId({ id }), newName: name })).toEqual([]);
});

test('what is deleted along is counted', async () => {
  const account = await world.newAccount();
  const profile = await world.join('staff-b', account.accountNumber);
  const owner = byId(profile);
  await world.issue('admin', { owner });
  await world.issue('admin', { owner });
  const [record] = await recordsOf('deleteAccount', { selector: byId(account), force: true });
  expect(record).toMatchObject({ resourceId: account.id, detail: { user_profiles: '1', tokens: '2' } });
});

test('each of the tokens that a user loses at once is recorded', async () => {
  const { profile, id } = await world.issueTo();
  const other = await world.issue('admin', { owner: byId(profile) });
  const user = { selector: { $case: 'id', value: profile.userId } } as const;
  const records = await recordsOf('revokeUserTokens', { user });
  expect(records.map(({ resourceId }) => resourceId)).toEqual([id, other.id]);
});

test('a record names the caller by token, user, account, address and call', async () => {
  const { keyId, plaintext } = await world.issue('staff-a');
  const peer = new Peer(world.server.address, { token: plaintext });
  const selector = byId(await world.issue('owner-a'));
  const [record] = await recordsOf('deactivateToken', { selector }, 'OK', peer);
  const [row] = await execute(world.database.url, 'SELECT * FROM audit_events WHERE id = $1', [
    String(existing(record).id),
  ]);
  expect(row).toMatchObject({
    actor_key_id: keyId,
    actor_user_id: String(world.profileOf('staff-a').userId),
    actor_username: 'staff-a',
    actor_account_number: ACCOUNT_A,
    actor_peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as unknown,
    actor_certificate: null,
    request_id: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
    resource_profile_id: String(world.profileOf('owner-a').id),
    resource_account_number: ACCOUNT_A,
    occurred_at: new Date(world.clock.now()),
  });
  peer.close();
});

test('a record names the certificate of a caller who has one', async () => {
  const server = await world.startServer({ ...MUTUAL_TLS, ...KEYS });
  const peer = new Peer(server.address, certificateOptions('staff-a'));
  const selector = byId(await world.issue('owner-a'));
  const [record] = await recordsOf('deactivateToken', { selector }, 'OK', peer);
  const [row] = await execute(world.database.url, 'SELECT * FROM audit_events WHERE id = $1', [
    String(existing(record).id),
  ]);
  expect(row).toMatchObject({
    actor_key_id: null,
    actor_username: 'staff-a',
    actor_certificate: expect.stringMatching(/^CN=staff-a sha256=[0-9a-f]{64}$/) as unknown,
  });
  peer.close();
});

test('authentications are counted, and written when the service stops', async () => {
  const { keyId, plaintext } = await world.issue('staff-a');
  const server = await startTestServer({ databaseUrl: world.database.url, clock: world.clock, env: KEYS });
  const known = new Peer(server.address, { token: plaintext });
  const unknown = new Peer(server.address, { token: 'nobody' });
  for (let call = 0; call < 3; call += 1) await known.call('listTokens', {});
  for (let call = 0; call < 2; call += 1) await unknown.call('listTokens', {});
  const before = await newestEvent(world.database.url);
  await server.stop();
  known.close();
  unknown.close();
  const rows = await execute(world.database.url, 'SELECT * FROM audit_events WHERE id > $1 ORDER BY id', [
    String(before),
  ]);
  expect(rows).toEqual([
    expect.objectContaining({
      action: 'AUTHENTICATION_SUCCEEDED',
      actor_key_id: keyId,
      actor_username: 'staff-a',
      detail: expect.objectContaining({ count: '3' }) as unknown,
    }),
    expect.objectContaining({
      action: 'AUTHENTICATION_FAILED',
      outcome: 'CREDENTIALS_REFUSED',
      actor_peer: '127.0.0.1',
      actor_username: '',
      detail: expect.objectContaining({ count: '2' }) as unknown,
    }),
  ]);
});

test('a bootstrap records what it made, as the operator', async () => {
  const [first, ...others] = await readEvents(world.database.url);
  expect(first).toMatchObject({ action: 'ACCOUNT_CREATED', actor: 'operator' });
  expect(others.slice(0, 3)).toMatchObject([
    { action: 'USER_CREATED', actor: 'operator' },
    { action: 'USER_PROFILE_CREATED', actor: 'operator' },
    { action: 'TOKEN_CREATED', actor: 'operator' },
  ]);
});

test('many changes at once on two replicas leave chains that verify, with a record for each', async () => {
  const other = await world.startServer(KEYS);
  const peers = [admin, new Peer(other.address, { token: world.adminToken })];
  const tokens = await Promise.all(Array.from({ length: 20 }, () => world.issue('owner-a')));
  const before = await newestEvent(world.database.url);
  const calls = tokens.flatMap((token) =>
    peers.map((peer) => peer.call('toggleToken', { selector: byId(token) })),
  );
  for (const outcome of await Promise.all(calls)) expect(outcome.code).toBe('OK');
  peers[1]?.close();
  const records = await readEvents(world.database.url, before);
  expect(records.map(({ resourceId }) => resourceId).sort()).toEqual(
    tokens.flatMap(({ id }) => [id, id]).sort(),
  );
  const knex = openDatabase({
    url: world.database.url,
    poolSize: 1,
    connectTimeoutMs: 10_000,
  });
  expect(await verify(knex)).toMatchObject({ isIntact: true, faults: [] });
  await knex.destroy();
});

test('no plaintext and no given name is in the log', async () => {
  const rows = await execute(world.database.url, 'SELECT e::text AS record FROM audit_events e');
  const texts = rows.map(({ record }) => record as string).join('\n');
  const { plaintext, name } = await world.issue('owner-a');
  expect(texts.length).toBeGreaterThan(1_000);
  for (const hidden of [world.adminToken, world.tokenOf('staff-a'), plaintext, name, 'changed']) {
    expect(texts).not.toContain(hidden);
  }
});
