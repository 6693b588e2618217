import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { checkHealth } from '../../../src/client/health.js';
import { registerCanary } from '../../support/canaries.js';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../../support/database.js';
import { keyward, serve, spawnKeyward, type Serving } from '../../support/keyward-command.js';
import { TEST_KEY } from '../../support/keyring.js';
import { isAlive } from '../../support/postmaster.js';
import { framed, RawHttp2 } from '../../support/raw-http2.js';
import { pathOf, Peer } from '../../support/rpc.js';

let database: TestDatabase;
let adminToken: string;
const running: Serving[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  const env = { DATABASE_URL: database.url, KEYWARD_FERNET_KEYS: TEST_KEY };
  adminToken = registerCanary((await keyward(['bootstrap'], { env })).trim());
});

afterEach(async () => {
  for (const serving of running.splice(0)) {
    if (isAlive(serving.pid)) serving.signal('SIGTERM');
    await serving.exited;
  }
});

afterAll(() => database.drop());

async function start(env: NodeJS.ProcessEnv = {}): Promise<Serving> {
  const serving = await serve({
    env: {
      DATABASE_URL: database.url,
      KEYWARD_FERNET_KEYS: TEST_KEY,
      KEYWARD_LISTEN: '127.0.0.1:0',
      KEYWARD_HTTP_LISTEN: '127.0.0.1:0',
      ...env,
    },
  });
  running.push(serving);
  return serving;
}

async function readiness({ http }: Serving): Promise<unknown> {
  const response = await fetch(`${http}/readyz`);
  return { code: response.status, ...((await response.json()) as object) };
}

async function metrics({ http }: Serving): Promise<string> {
  const response = await fetch(`${http}/metrics`);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return response.text();
}

/** takenPort listens on a port until `release`. */
async function takenPort(port = 0): Promise<{ port: number; release: () => void }> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, release: () => void server.close() };
}

test('/readyz is 200 exactly while gRPC health says SERVING, and tells why when it does not', async () => {
  const empty = await createEmptyDatabase();
  const serving = await start({ DATABASE_URL: empty.url });
  expect(await checkHealth({ server: serving.address })).toBe('NOT_SERVING');
  expect(await readiness(serving)).toEqual({
    code: 503,
    status: 'NOT_SERVING',
    reason: 'the database has no Keyward schema; run "keyward migrate"',
  });
  expect((await fetch(`${serving.http}/healthz`)).status).toBe(200);

  await keyward(['migrate'], { env: { DATABASE_URL: empty.url } });
  await vi.waitFor(
    async () => expect(await checkHealth({ server: serving.address })).toBe('SERVING'),
    10_000,
  );
  expect(await readiness(serving)).toEqual({ code: 200, status: 'SERVING' });
  serving.signal('SIGTERM');
  await serving.exited;
  await empty.drop();
});

test('while calls end before the service stops, the process is alive and not ready', async () => {
  const serving = await start({ KEYWARD_SHUTDOWN_SECONDS: '5' });
  const wire = await RawHttp2.open(Number(serving.address.split(':')[1]));
  const headers = { authorization: `Bearer ${adminToken}` };
  // A call whose request is not complete is under way until it is.
  wire.begin(pathOf('listTokens'), headers, 60_000).write(Buffer.from([0, 0, 0]));
  expect((await wire.call(pathOf('listTokens'), framed(Buffer.alloc(0)), headers, 20_000)).code).toBe('OK');
  serving.signal('SIGTERM');
  await vi.waitFor(async () => {
    expect(await readiness(serving)).toEqual({ code: 503, status: 'NOT_SERVING', reason: 'stopping' });
  }, 5_000);
  expect((await fetch(`${serving.http}/healthz`)).status).toBe(200);
  wire.close();
  expect(await serving.exited).toBe(0);
});

test('validations, calls and lookups are counted, those answered from memory too', async () => {
  const serving = await start();
  const peer = new Peer(serving.address, { token: adminToken });
  const stranger = new Peer(serving.address, { token: 'no-such-token' });
  for (let call = 0; call < 3; call += 1) await peer.call('validateToken', { token: adminToken });
  await peer.call('batchValidateTokens', { requests: [{ token: 'guess' }, { token: adminToken }] });
  await peer.call('batchValidateTokens', { requests: [{ token: 'guess' }, { token: adminToken }] });
  await peer.call('getToken', { token: { selector: { $case: 'id', value: 123456n } } });
  await stranger.call('validateToken', { token: adminToken });
  const service = 'grpc_service="keyward.token.v1.TokenService"';
  const text = await metrics(serving);
  const lines = text.split('\n').filter((line) => /^keyward_.* [^0]|EXPIRED|used/.test(line));
  expect(lines).toEqual(
    expect.arrayContaining([
      'keyward_validations_total{reason="OK"} 5',
      'keyward_validations_total{reason="UNKNOWN"} 2',
      'keyward_validations_total{reason="EXPIRED"} 0',
      `keyward_grpc_server_handled_total{${service},grpc_method="ValidateToken",grpc_code="OK"} 3`,
      `keyward_grpc_server_handled_total{${service},grpc_method="ValidateToken",grpc_code="UNAUTHENTICATED"} 1`,
      `keyward_grpc_server_handled_total{${service},grpc_method="BatchValidateTokens",grpc_code="OK"} 2`,
      `keyward_grpc_server_handled_total{${service},grpc_method="GetToken",grpc_code="NOT_FOUND"} 1`,
      // One for each text: the admin's, the guess and the stranger's.
      'keyward_cache_misses_total{cache="tokens"} 3',
      'keyward_cache_entries{cache="tokens"} 1',
      'keyward_database_pool_connections{state="used"} 0',
      'keyward_database_pool_max_connections 10',
    ]),
  );
  expect(text).toMatch(/^process_resident_memory_bytes \d/m);
  peer.close();
  stranger.close();
});

test('no metric has a label besides those that hold a few fixed words', async () => {
  const serving = await start();
  const peer = new Peer(serving.address, { token: adminToken });
  await peer.call('validateToken', { token: adminToken });
  await peer.call('createToken', { name: 'label-of-a-token' });
  await peer.call('getUser', { user: { selector: { $case: 'username', value: 'admin' } } });
  const text = await metrics(serving);
  const labels = new Set([...text.matchAll(/[{,]([a-z_]+)="/g)].map(([, label]) => label));
  const fixed = [
    'grpc_service',
    'grpc_method',
    'grpc_code',
    'reason',
    'cache',
    'state',
    'complete',
    'direction',
  ];
  const ofProcess = ['le', 'quantile', 'kind', 'type', 'space', 'version', 'major', 'minor', 'patch'];
  expect([...labels].filter((label) => ![...fixed, ...ofProcess].includes(label ?? ''))).toEqual([]);
  for (const name of [adminToken, 'label-of-a-token', '"admin"', database.url])
    expect(text).not.toContain(name);
  peer.close();
});

test('an address that was asked for and is taken stops the start, with one line', async () => {
  const { port, release } = await takenPort();
  const { code, stderr } = await spawnKeyward(['serve'], {
    env: {
      DATABASE_URL: database.url,
      KEYWARD_FERNET_KEYS: TEST_KEY,
      KEYWARD_LISTEN: '127.0.0.1:0',
      KEYWARD_HTTP_LISTEN: `127.0.0.1:${port}`,
    },
  });
  release();
  expect(code).toBe(1);
  expect(stderr).toMatch(/^keyward: cannot serve health and metrics on 127\.0\.0\.1:\d+: .*EADDRINUSE.*\n$/);
});

test('where the default address is taken, the service runs without health and metrics and says so', async () => {
  // Somebody else on this machine may have it already; then it is taken all the same.
  const taken = await takenPort(9464).catch(() => ({ release: () => undefined }));
  const serving = await start({ KEYWARD_HTTP_LISTEN: undefined });
  taken.release();
  expect(await checkHealth({ server: serving.address })).toBe('SERVING');
  expect(serving.output()).toContain('another program has the default address');
});

test('without an address there is no HTTP', async () => {
  const serving = await start({ KEYWARD_HTTP_LISTEN: '' });
  expect(serving.output()).not.toContain('"http"');
});
