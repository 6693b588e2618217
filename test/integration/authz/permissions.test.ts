import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { framed, RawHttp2 } from '../../support/raw-http2.js';
import { requestFor, REQUESTS } from '../../support/requests.js';
import {
  encodeRequest,
  METHOD_NAMES,
  pathOf,
  Peer,
  type MethodName,
  type Outcome,
  type RequestOf,
} from '../../support/rpc.js';
import { certificateOptions, MUTUAL_TLS } from '../../support/server.js';
import { World } from '../../support/world.js';

/** What kind of rule a method follows. The requests are about resources of account A. */
type Kind =
  | 'validate'
  | 'cache'
  | 'read token'
  | 'list tokens'
  | 'manage token'
  | 'read secret'
  | 'list secrets'
  | 'watch secrets'
  | 'list grants'
  | 'manage secret'
  | 'undelete secret'
  | 'access secret'
  | 'access secrets'
  | 'rotate keys'
  | 'read audit'
  | 'read imports'
  | 'read status'
  | 'read accounts'
  | 'manage accounts'
  | 'resolve ids';

const KINDS: Readonly<Record<MethodName, Kind>> = {
  validateToken: 'validate',
  batchValidateTokens: 'validate',
  streamValidateTokens: 'validate',
  holdVerdicts: 'cache',
  createToken: 'manage token',
  getToken: 'read token',
  listTokens: 'list tokens',
  updateToken: 'manage token',
  renameToken: 'manage token',
  cloneToken: 'manage token',
  transferToken: 'manage token',
  activateToken: 'manage token',
  deactivateToken: 'manage token',
  toggleToken: 'manage token',
  rotateToken: 'manage token',
  revokeToken: 'manage token',
  revokeUserTokens: 'manage token',
  attachTokenReference: 'manage token',
  detachTokenReference: 'manage token',
  listTokenReferences: 'read token',
  watchTokens: 'list tokens',
  createSecret: 'manage secret',
  getSecret: 'read secret',
  listSecrets: 'list secrets',
  updateSecret: 'manage secret',
  renameSecret: 'manage secret',
  cloneSecret: 'manage secret',
  transferSecret: 'manage secret',
  deleteSecret: 'manage secret',
  undeleteSecret: 'undelete secret',
  addSecretVersion: 'manage secret',
  listSecretVersions: 'read secret',
  disableSecretVersion: 'manage secret',
  enableSecretVersion: 'manage secret',
  destroySecretVersion: 'manage secret',
  accessSecret: 'access secret',
  batchAccessSecrets: 'access secrets',
  attachReference: 'manage secret',
  detachReference: 'manage secret',
  listReferences: 'read secret',
  grantAccess: 'manage secret',
  revokeAccess: 'manage secret',
  listGrants: 'list grants',
  rotateEncryptionKey: 'rotate keys',
  getRotationStatus: 'rotate keys',
  watchSecrets: 'watch secrets',
  listAuditEvents: 'read audit',
  listImportConflicts: 'read imports',
  listReplicas: 'read status',
  applyManifest: 'manage token',
  getManifest: 'read token',
  createAccount: 'manage accounts',
  getAccount: 'read accounts',
  listAccounts: 'read accounts',
  updateAccount: 'manage accounts',
  deleteAccount: 'manage accounts',
  createUser: 'manage accounts',
  getUser: 'read accounts',
  listUsers: 'read accounts',
  updateUser: 'manage accounts',
  deleteUser: 'manage accounts',
  createUserProfile: 'manage accounts',
  getUserProfile: 'read accounts',
  listUserProfiles: 'read accounts',
  updateUserProfile: 'manage accounts',
  deleteUserProfile: 'manage accounts',
  resolveId: 'resolve ids',
};

/** Of several scopes any will do. */
const SCOPES: Readonly<Record<Kind, string | readonly string[]>> = {
  validate: 'keyward.tokens.validate',
  cache: 'keyward.tokens.cache',
  'read token': 'keyward.tokens.read',
  'list tokens': 'keyward.tokens.read',
  'manage token': 'keyward.tokens.write',
  'read secret': 'keyward.secrets.read',
  'list secrets': 'keyward.secrets.read',
  'watch secrets': ['keyward.secrets.read', 'keyward.secrets.access'],
  'list grants': 'keyward.secrets.read',
  'manage secret': 'keyward.secrets.write',
  'undelete secret': 'keyward.secrets.write',
  'access secret': 'keyward.secrets.access',
  'access secrets': 'keyward.secrets.access',
  'rotate keys': 'keyward.keys.rotate',
  'read audit': 'keyward.audit.read',
  'read imports': 'keyward.imports.read',
  'read status': 'keyward.status.read',
  'read accounts': 'keyward.accounts.read',
  'manage accounts': 'keyward.accounts.write',
  'resolve ids': 'keyward.accounts.read',
};

const OK = 'OK ';
const REFUSED = 'UNAUTHENTICATED CREDENTIALS_REFUSED';
const NO_SCOPE = 'PERMISSION_DENIED SCOPE_MISSING';
const NOT_PERMITTED = 'PERMISSION_DENIED NOT_PERMITTED';
const NOT_FOUND = 'NOT_FOUND NOT_FOUND';

/** Callers whose credentials alone decide. */
const REFUSED_CALLERS = {
  'no credentials': REFUSED,
  'a text that is no token': REFUSED,
  'an expired token': REFUSED,
  'a token that is switched off': REFUSED,
  'the token of a user who is switched off': REFUSED,
  'a certificate of nobody': REFUSED,
  'a token with an unrelated scope': NO_SCOPE,
  'a token with every scope but this one': NO_SCOPE,
};

/** Callers with every scope: what follows from their rights. */
const EXPECTED = {
  'a user who is not staff': rights({ read: OK, manage: NOT_PERMITTED, status: NOT_PERMITTED }),
  'staff of another account': rights({ read: NOT_FOUND, manage: NOT_FOUND }),
  'staff of the platform account': rights({ read: NOT_FOUND, manage: NOT_FOUND }),
  'staff of the account': rights({ read: OK, manage: OK }),
  'staff of the account, by certificate': rights({ read: OK, manage: OK }),
  'staff of the account and of another': rights({ read: OK, manage: OK }),
  'a superuser': rights({ read: OK, manage: OK, accounts: OK }),
  'a superuser without a profile, by certificate': rights({ read: NOT_FOUND, manage: NOT_FOUND }),
  'a user without a profile, by certificate': rights({ read: NOT_FOUND, manage: NOT_FOUND }),
};

function rights(of: {
  read: string;
  manage: string;
  accounts?: string;
  status?: string;
}): Readonly<Record<Kind, string>> {
  const { accounts = NOT_PERMITTED } = of;
  return {
    validate: OK,
    cache: OK,
    'read token': of.read,
    'list tokens': OK,
    'manage token': of.manage,
    'read secret': of.read,
    'list secrets': OK,
    'watch secrets': OK,
    'list grants': of.manage,
    'manage secret': of.manage,
    // For those who may only read it, a deleted secret does not exist.
    'undelete secret': of.manage === OK ? OK : NOT_FOUND,
    'access secret': of.manage,
    // Whether a value may be had is told for each.
    'access secrets': OK,
    'rotate keys': accounts,
    'read audit': OK,
    'read imports': accounts,
    'read status': of.status ?? OK,
    'read accounts': accounts,
    'manage accounts': accounts,
    // What the caller may not read is left out.
    'resolve ids': OK,
  };
}

type CallerName = keyof typeof EXPECTED | keyof typeof REFUSED_CALLERS;

const CALLER_NAMES = [...Object.keys(REFUSED_CALLERS), ...Object.keys(EXPECTED)] as CallerName[];

function expected(caller: CallerName, method: MethodName): string {
  return caller in EXPECTED
    ? EXPECTED[caller as keyof typeof EXPECTED][KINDS[method]]
    : REFUSED_CALLERS[caller as keyof typeof REFUSED_CALLERS];
}

let world: World;
const peers = new Map<CallerName, Peer>();
/** By the scope that is missing. */
const peersWithout = new Map<string | readonly string[], Peer>();

beforeAll(async () => {
  world = await World.create();
  const { address } = world.server;
  const withToken = (token: string) => new Peer(address, { token });
  const expired = await world.issue('admin', {
    expiry: { $case: 'ttl', value: { seconds: 60n, nanos: 0 } },
  });
  world.clock.advance(60_001);
  const inactive = await world.issue('admin', { isActive: false });
  const ofInactiveUser = await world.issueTo({ isSuperuser: true });
  await world.admin.accounts.updateUser({
    selector: { selector: { $case: 'id', value: ofInactiveUser.profile.userId } },
    user: { isActive: false },
    updateMask: ['is_active'],
  });
  const unrelated = await world.issue('admin', { scopes: ['billing.read', 'keyward.tokens.validate.not'] });
  peers.set('no credentials', new Peer(address));
  peers.set('a text that is no token', withToken('f'.repeat(64)));
  peers.set('an expired token', withToken(expired.plaintext));
  peers.set('a token that is switched off', withToken(inactive.plaintext));
  peers.set('the token of a user who is switched off', withToken(ofInactiveUser.plaintext));
  peers.set('a token with an unrelated scope', withToken(unrelated.plaintext));
  for (const missing of new Set(Object.values(SCOPES))) {
    const all = new Set(Object.values(SCOPES).flat());
    const scopes = [...all].filter((scope) => ![missing].flat().includes(scope));
    peersWithout.set(missing, withToken((await world.issue('admin', { scopes })).plaintext));
  }
  peers.set('a user who is not staff', withToken(world.tokenOf('plain-a')));
  peers.set('staff of another account', withToken(world.tokenOf('staff-b')));
  peers.set('staff of the platform account', withToken(world.tokenOf('staff-platform')));
  peers.set('staff of the account', withToken(world.tokenOf('staff-a')));
  peers.set('staff of the account and of another', withToken(world.tokenOf('staff-a-and-b')));
  peers.set('a superuser', withToken(world.adminToken));

  const { address: tls } = await world.startServer(MUTUAL_TLS);
  const withCertificate = (user: string) => new Peer(tls, certificateOptions(user));
  peers.set('a certificate of nobody', withCertificate('nobody'));
  peers.set('staff of the account, by certificate', withCertificate('staff-a'));
  peers.set('a superuser without a profile, by certificate', withCertificate('superuser-without-profile'));
  peers.set('a user without a profile, by certificate', withCertificate('user-without-profile'));
});

afterAll(async () => {
  for (const peer of [...peers.values(), ...peersWithout.values()]) peer.close();
  await world.close();
});

/** Asking makes a request: what is refused changes nothing, so that one does for all who are refused. */
type Asking = () => Promise<RequestOf<MethodName>>;

function asking(method: MethodName): Asking {
  const shared = requestFor(method, world);
  return () => shared;
}

async function call(caller: CallerName, method: MethodName, ask = asking(method)): Promise<Outcome> {
  const lacking = caller === 'a token with every scope but this one';
  const peer = lacking ? peersWithout.get(SCOPES[KINDS[method]]) : peers.get(caller);
  if (peer === undefined) throw new Error(`there is no such caller: ${caller}`);
  const isRefused = expected(caller, method) !== OK;
  return peer.call(method, await (isRefused ? ask() : requestFor(method, world)));
}

test('every RPC has a row', () => {
  expect(Object.keys(KINDS).sort()).toEqual([...METHOD_NAMES].sort());
  expect(Object.keys(REQUESTS).sort()).toEqual([...METHOD_NAMES].sort());
});

describe.each(METHOD_NAMES)('who may call %s', (method) => {
  test('each caller gets what their credentials and rights allow', async () => {
    const ask = asking(method);
    const outcomes = await Promise.all(
      CALLER_NAMES.map(async (caller) => {
        const { code, reason } = await call(caller, method, ask);
        return [caller, `${code} ${reason}`] as const;
      }),
    );
    expect(Object.fromEntries(outcomes)).toEqual(
      Object.fromEntries(CALLER_NAMES.map((caller) => [caller, expected(caller, method)])),
    );
  });

  test('the answer to refused credentials is the same for every cause, down to the bytes', async () => {
    const refused = CALLER_NAMES.filter((caller) => expected(caller, method) === REFUSED);
    const ask = asking(method);
    const outcomes = await Promise.all(refused.map((caller) => call(caller, method, ask)));
    expect(outcomes.length).toBeGreaterThan(4);
    expect(new Set(outcomes.map(({ trailers, message }) => `${message}\n${trailers}`)).size).toBe(1);
  });

  test('a missing scope is named', async () => {
    const { metadata } = await call('a token with an unrelated scope', method);
    expect(metadata).toEqual({ required_scope: [SCOPES[KINDS[method]]].flat()[0] });
  });
});

test('a list shows each caller the tokens that they may read, and no others', async () => {
  const target = await world.issue('owner-a');
  const platform = await world.issue('staff-platform');
  const lists = async (caller: CallerName, { name }: { name: string }) => {
    const outcome = await peers.get(caller)?.call('listTokens', { filter: `name = "${name}"` });
    expect(outcome?.code).toBe('OK');
    return outcome !== undefined && outcome.response.length > 0;
  };
  for (const caller of Object.keys(EXPECTED) as (keyof typeof EXPECTED)[]) {
    expect(await lists(caller, target), caller).toBe(EXPECTED[caller]['read token'] === OK);
    expect(await lists(caller, platform), caller).toBe(!caller.includes('without a profile'));
  }
});

test('a certificate names no profile, so its caller must name the owner of a new token', async () => {
  const outcome = await peers
    .get('staff of the account, by certificate')
    ?.call('createToken', { name: world.newName() });
  expect(outcome).toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field: 'owner' }] });
});

test('for the same reason it names no token by a name alone', async () => {
  const selector = { selector: { $case: 'ownedName', value: { name: world.newName() } } } as const;
  const outcome = await peers
    .get('staff of the account, by certificate')
    ?.call('getToken', { token: selector });
  expect(outcome).toMatchObject({
    code: 'INVALID_ARGUMENT',
    violations: [{ field: 'token.owned_name.owner' }],
  });
});

test('a token beside a certificate is what counts', async () => {
  const { address } = await world.startServer(MUTUAL_TLS);
  const peer = (token: string) => new Peer(address, { ...certificateOptions('staff-a'), token });
  const [bad, other] = [peer('0'.repeat(64)), peer(world.tokenOf('staff-b'))];
  expect(await bad.call('listTokens', {})).toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(await other.call('getToken', await REQUESTS.getToken(world))).toMatchObject({ code: 'NOT_FOUND' });
  bad.close();
  other.close();
});

/** Older ones drop such headers, and nobody can tell that there were any. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const dropsPaddedHeaders = major < 22 || (major === 22 && minor < 17);
if (dropsPaddedHeaders)
  console.warn(`SKIPPED: credentials with a space behind them, with Node ${process.version}`);

test.skipIf(dropsPaddedHeaders).each([
  ['a token that is another user’s', (token: string) => `Bearer ${token} `, 'NOT_FOUND'],
  ['a space before it', (token: string) => ` Bearer ${token}`, 'NOT_FOUND'],
  ['an unknown token', () => `Bearer ${'0'.repeat(64)} `, 'UNAUTHENTICATED'],
  ['no token', () => 'Bearer ', 'UNAUTHENTICATED'],
  ['a tab', (token: string) => `Bearer ${token}\t`, 'UNAUTHENTICATED'],
])(
  'credentials with a space behind them are judged the same with a certificate and without: %s',
  async (...row) => {
    const [, header, code] = row;
    const { address } = await world.startServer(MUTUAL_TLS);
    const { ca, cert, key } = certificateOptions('staff-a');
    const files = { ca: await readFile(ca), cert: await readFile(cert), key: await readFile(key) };
    const connections = [
      await RawHttp2.connect(`http://${world.server.address}`),
      await RawHttp2.connect(`https://${address}`, files),
    ];
    const headers = { authorization: header(world.tokenOf('staff-b')) };
    const body = framed(encodeRequest('getToken', await REQUESTS.getToken(world)));
    for (const connection of connections) {
      for (const _ of ['cold', 'warm']) {
        expect((await connection.call(pathOf('getToken'), body, headers, 10_000)).code).toBe(code);
      }
      connection.close();
    }
  },
);
