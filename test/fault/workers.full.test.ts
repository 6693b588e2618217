import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { connect as connectSocket, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { registerCanary } from '../support/canaries.js';
import { removeDataDir } from '../support/data-dir.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { keyward, serve, spawnKeyward, type Serving } from '../support/keyward-command.js';
import { TEST_KEY } from '../support/keyring.js';
import { isAlive, postmasterOf, untilGone } from '../support/postmaster.js';
import { framed, RawHttp2 } from '../support/raw-http2.js';
import { encodeRequest, pathOf } from '../support/rpc.js';
import { MUTUAL_TLS } from '../support/server.js';
import { execute } from '../support/sql.js';

const WORKERS = 3;

// Each test starts several processes, some of them again and again.
vi.setConfig({ testTimeout: 60_000 });

let database: TestDatabase;
let adminToken: string;
let env: NodeJS.ProcessEnv;
const running: Serving[] = [];
const connections: RawHttp2[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  env = {
    DATABASE_URL: database.url,
    KEYWARD_FERNET_KEYS: TEST_KEY,
    KEYWARD_LISTEN: '127.0.0.1:0',
    KEYWARD_HTTP_LISTEN: '127.0.0.1:0',
    KEYWARD_WORKERS: String(WORKERS),
  };
  adminToken = registerCanary((await keyward(['bootstrap'], { env })).trim());
});

afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close();
  for (const serving of running.splice(0)) {
    if (isAlive(serving.pid)) serving.signal('SIGTERM');
    await serving.exited;
    for (const worker of workersOf(serving).filter(isAlive)) process.kill(worker, 'SIGKILL');
  }
});

afterAll(() => database.drop());

async function start(more: NodeJS.ProcessEnv = {}): Promise<Serving> {
  const serving = await serve({ env: { ...env, ...more } });
  running.push(serving);
  return serving;
}

interface Entry {
  readonly msg: string;
  readonly worker?: number;
  readonly worker_pid?: number;
  readonly replica?: string;
}

/** entriesOf are the log entries with a message. */
function entriesOf(serving: Serving, msg: string): Entry[] {
  const lines = serving.output().split('\n');
  return lines
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Entry)
    .filter((entry) => entry.msg === msg);
}

/** workersOf are the process ids of all workers that were ever started, in their order. */
function workersOf(serving: Serving): number[] {
  return entriesOf(serving, 'worker started').map(({ worker_pid: pid }) => pid ?? 0);
}

async function connectTo({ address }: Serving): Promise<RawHttp2> {
  const connection = await RawHttp2.open(Number(address.split(':')[1]));
  connections.push(connection);
  return connection;
}

async function validate(connection: RawHttp2, token = 'guess'): Promise<string> {
  const body = framed(encodeRequest('validateToken', { token }));
  const headers = { authorization: `Bearer ${adminToken}` };
  return (await connection.call(pathOf('validateToken'), body, headers, 5_000)).code;
}

/** validateByAll validates once through each worker: connections are handed to them in turn. */
async function validateByAll(serving: Serving): Promise<void> {
  for (let worker = 0; worker < WORKERS; worker += 1) {
    expect(await validate(await connectTo(serving))).toBe('OK');
  }
}

async function readiness({ http }: Serving): Promise<unknown> {
  return (await fetch(`${http}/readyz`)).json();
}

async function untilServing(serving: Serving, workers = WORKERS): Promise<void> {
  const expected = { status: 'SERVING', workers: { configured: WORKERS, serving: workers } };
  await vi.waitFor(async () => expect(await readiness(serving)).toEqual(expected), 10_000);
}

async function untilEnded(serving: Serving, workers: number): Promise<void> {
  await vi.waitFor(() => expect(entriesOf(serving, 'a worker ended')).toHaveLength(workers), 10_000);
}

/** valueOf reads one number of the metrics. */
async function valueOf({ http }: Serving, name: string): Promise<number> {
  const text = await (await fetch(`${http}/metrics`)).text();
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.split(' ')[1],
  );
}

/** holdOpen begins a call that ends with its connection: its request is never complete. */
async function holdOpen(serving: Serving): Promise<RawHttp2> {
  const connection = await connectTo(serving);
  const headers = { authorization: `Bearer ${adminToken}` };
  connection.begin(pathOf('listTokens'), headers, 60_000).write(Buffer.from([0, 0, 0]));
  expect(await validate(connection)).toBe('OK');
  return connection;
}

test('gateways are answered by all workers, at one port', async () => {
  const serving = await start({ KEYWARD_GATEWAY_LISTEN: '127.0.0.1:0' });
  await vi.waitFor(() => expect(entriesOf(serving, 'listening for gateways')).toHaveLength(1));
  const [entry] = entriesOf(serving, 'listening for gateways') as { readonly address?: string }[];
  const headers = { authorization: `Bearer ${adminToken}`, 'x-keyward-gateway-token': adminToken };
  for (let worker = 0; worker < WORKERS; worker += 1) {
    const asked = get(`http://${entry?.address ?? ''}/auth`, { agent: false, headers });
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    response.resume();
    expect(response.statusCode).toBe(200);
  }
  const metrics = await (await fetch(`${serving.http}/metrics`)).text();
  expect(metrics).toContain(`keyward_gateway_requests_total{endpoint="/auth",status="200"} ${WORKERS}`);
});

test('all workers serve the one port, each some of the connections', async () => {
  const serving = await start({ KEYWARD_LOG_LEVEL: 'debug' });
  await untilServing(serving);
  await validateByAll(serving);
  // An answer may come before the log entry of its call.
  const served = () => entriesOf(serving, 'call').map(({ worker }) => worker ?? 0);
  await vi.waitFor(() => expect(served().sort()).toEqual([1, 2, 3]), 5_000);
});

test('kill -9 of a worker costs its own connections and no others, and another takes its place', async () => {
  const serving = await start({ KEYWARD_LOG_LEVEL: 'debug' });
  const [victim] = workersOf(serving);
  const open = await Promise.all(Array.from({ length: WORKERS }, () => connectTo(serving)));
  for (const connection of open) expect(await validate(connection)).toBe('OK');
  process.kill(victim ?? 0, 'SIGKILL');
  await untilEnded(serving, 1);

  const codes = await Promise.all(open.map((connection) => validate(connection).catch(() => 'lost')));
  expect(codes.filter((code) => code === 'OK')).toHaveLength(WORKERS - 1);
  await untilServing(serving);
  await validateByAll(serving);

  const startedOf = () => entriesOf(serving, 'worker started');
  await vi.waitFor(() => expect(startedOf().map(({ worker }) => worker)).toEqual([1, 2, 3, 1]), 5_000);
  const started = startedOf();
  expect(new Set(started.map(({ replica }) => replica)).size).toBe(WORKERS + 1);
  expect(entriesOf(serving, 'a worker ended')).toMatchObject([{ worker: 1, replica: started[0]?.replica }]);
});

test('a connection that was being handed to a worker which is killed is closed, and not kept without anybody to serve it', async () => {
  const serving = await start();
  await untilServing(serving);
  const [victim] = workersOf(serving);
  process.kill(victim ?? 0, 'SIGSTOP');
  // In turn: one of them goes to the worker that stands still.
  const sockets = Array.from({ length: WORKERS }, () => connectSocket(Number(serving.address.split(':')[1])));
  const settled = new Set<Socket>();
  for (const socket of sockets) {
    socket.on('error', () => undefined);
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
    // Served, or closed.
    for (const event of ['data', 'close']) socket.on(event, () => settled.add(socket));
  }
  await vi.waitFor(() => expect(settled.size).toBe(WORKERS - 1), 10_000);
  process.kill(victim ?? 0, 'SIGKILL');
  await untilEnded(serving, 1);
  await vi.waitFor(() => expect(settled.size).toBe(WORKERS), 10_000);
  for (const socket of sockets) socket.destroy();
  await untilServing(serving);
  await validateByAll(serving);
});

test('nobody waits for a worker that was killed: the main process takes it off the list of replicas', async () => {
  const serving = await start();
  await untilServing(serving);
  const replicas = async () =>
    (await execute(database.url, 'SELECT id FROM replicas ORDER BY id')).map(({ id }) => id);
  const idsOf = (workers: Entry[]) => workers.map(({ replica }) => replica).sort();
  const started = entriesOf(serving, 'worker started');
  expect(await replicas()).toEqual(idsOf(started));
  process.kill(workersOf(serving)[0] ?? 0, 'SIGKILL');
  await vi.waitFor(() => expect(entriesOf(serving, 'worker started')).toHaveLength(WORKERS + 1), 10_000);
  await untilServing(serving);
  await expect.poll(replicas).toEqual(idsOf(entriesOf(serving, 'worker started').slice(1)));
  serving.signal('SIGTERM');
  await serving.exited;
  expect(await replicas()).toEqual([]);
});

test('a worker that is told to end by itself ends in order and is replaced too', async () => {
  const serving = await start();
  const [told] = workersOf(serving);
  process.kill(told ?? 0, 'SIGTERM');
  await untilGone(told ?? 0);
  await vi.waitFor(() => expect(workersOf(serving)).toHaveLength(WORKERS + 1), 10_000);
  await untilServing(serving);
});

test('when all workers die at once, others serve on the same port', async () => {
  const serving = await start();
  for (const worker of workersOf(serving)) process.kill(worker, 'SIGKILL');
  await untilEnded(serving, WORKERS);
  await untilServing(serving);
  await validateByAll(serving);
});

test('metrics are those of all workers, and what was counted outlives the worker that counted it', async () => {
  const serving = await start();
  await validateByAll(serving);
  const unknown = 'keyward_validations_total{reason="UNKNOWN"}';
  expect(await valueOf(serving, unknown)).toBe(WORKERS);
  expect(await valueOf(serving, 'keyward_cache_entries{cache="tokens"}')).toBe(WORKERS);
  expect(await valueOf(serving, 'process_cpu_seconds_total')).toBeGreaterThan(0);

  process.kill(workersOf(serving)[1] ?? 0, 'SIGKILL');
  await untilEnded(serving, 1);
  expect(await valueOf(serving, unknown)).toBe(WORKERS);
  await untilServing(serving);
  expect(await valueOf(serving, 'keyward_cache_entries{cache="tokens"}')).toBe(WORKERS - 1);
  await validateByAll(serving);
  expect(await valueOf(serving, unknown)).toBe(2 * WORKERS);
});

test('a worker that stands still is not counted as serving, and its counts stay', async () => {
  const serving = await start();
  await untilServing(serving);
  await validateByAll(serving);
  const unknown = 'keyward_validations_total{reason="UNKNOWN"}';
  expect(await valueOf(serving, unknown)).toBe(WORKERS);
  const [still] = workersOf(serving);
  process.kill(still ?? 0, 'SIGSTOP');
  await untilServing(serving, WORKERS - 1);
  expect(await valueOf(serving, unknown)).toBe(WORKERS);
  process.kill(still ?? 0, 'SIGCONT');
  await untilServing(serving);
});

test('SIGTERM ends all workers in order: uses of the last seconds are written', async () => {
  const serving = await start();
  await execute(database.url, 'UPDATE tokens SET last_used_at = NULL');
  await validateByAll(serving);
  serving.signal('SIGTERM');
  expect(await serving.exited).toBe(0);
  expect(workersOf(serving).filter(isAlive)).toEqual([]);
  expect(entriesOf(serving, 'a worker ended')).toEqual([]);
  const rows = await execute(database.url, 'SELECT 1 FROM tokens WHERE last_used_at IS NOT NULL');
  expect(rows).toHaveLength(1);
});

test('Ctrl-C reaches all processes at once; they end in order, and then the database of their own', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'keyward-workers-'));
  const dataDir = join(parent, 'data');
  const serving = await start({ DATABASE_URL: '', KEYWARD_DATA_DIR: dataDir });
  await untilServing(serving);
  const postmaster = await postmasterOf(dataDir);
  serving.signal('SIGINT', 'group');
  serving.signal('SIGINT');
  expect(await serving.exited).toBe(0);
  expect(workersOf(serving)).toHaveLength(WORKERS);
  expect(workersOf(serving).filter(isAlive)).toEqual([]);
  await untilGone(postmaster);
  expect(serving.output()).not.toContain('"level":"error"');
  await removeDataDir(dataDir);
  await rm(parent, { recursive: true });
});

test('kill -9 of the main process leaves no worker behind', async () => {
  const serving = await start();
  const client = await holdOpen(serving);
  serving.signal('SIGKILL');
  await serving.exited;
  for (const worker of workersOf(serving)) await untilGone(worker);
  client.close();
});

test('a second signal ends the workers at once, whatever calls are under way and whoever stands still', async () => {
  const serving = await start({ KEYWARD_SHUTDOWN_SECONDS: '600' });
  const client = await holdOpen(serving);
  process.kill(workersOf(serving)[2] ?? 0, 'SIGSTOP');
  serving.signal('SIGTERM');
  await vi.waitFor(
    () => {
      if (isAlive(serving.pid)) serving.signal('SIGTERM');
      expect(isAlive(serving.pid)).toBe(false);
    },
    { timeout: 10_000, interval: 100 },
  );
  expect(await serving.exited).toBe(1);
  for (const worker of workersOf(serving)) await untilGone(worker);
  client.close();
});

test('a worker that does not stop in time is ended', async () => {
  const serving = await start({ KEYWARD_SHUTDOWN_SECONDS: '0', KEYWARD_DATABASE_TIMEOUT_SECONDS: '1' });
  const [still] = workersOf(serving);
  process.kill(still ?? 0, 'SIGSTOP');
  serving.signal('SIGTERM');
  expect(await serving.exited).toBe(0);
  expect(workersOf(serving).filter(isAlive)).toEqual([]);
});

test('a start on a port that another has fails with one line and leaves no process', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const { code, stdout, stderr } = await spawnKeyward(['serve'], {
    env: { ...env, KEYWARD_LISTEN: `127.0.0.1:${port}` },
  });
  taken.close();
  expect(code).toBe(1);
  expect(stderr).toMatch(/^keyward: cannot listen on .*EADDRINUSE.*\n$/);
  const started = [...stdout.matchAll(/"worker_pid":(\d+)/g)].map(([, pid]) => Number(pid));
  expect(started.length).toBeGreaterThan(0);
  expect(started.filter(isAlive)).toEqual([]);
});

test('when workers keep ending as soon as they start, the service ends and says why', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keyward-workers-'));
  const certificate = join(directory, 'server.pem');
  await cp(MUTUAL_TLS.KEYWARD_TLS_CERT, certificate);
  const serving = await start({
    KEYWARD_TLS_CERT: certificate,
    KEYWARD_TLS_KEY: MUTUAL_TLS.KEYWARD_TLS_KEY,
  });
  await rm(directory, { recursive: true });
  for (const worker of workersOf(serving)) process.kill(worker, 'SIGKILL');
  expect(await serving.exited).toBe(1);
  expect(serving.output()).toMatch(
    /^keyward: workers end as soon as they start: KEYWARD_TLS_CERT: \S+ cannot be read/m,
  );
  expect(workersOf(serving).filter(isAlive)).toEqual([]);
});

test('the address of the database is in no argument and no environment that the main process did not have', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'keyward-workers-'));
  const dataDir = join(parent, 'data');
  const serving = await start({ DATABASE_URL: '', KEYWARD_DATA_DIR: dataDir });
  const ps = ['-ww', '-o', 'args=', '-p', workersOf(serving).join(',')];
  const shown = execFileSync('ps', ['e', ...ps]).toString();
  expect(shown).toContain('worker-main.js');
  expect(shown).not.toContain('postgres://');
  serving.signal('SIGTERM');
  await serving.exited;
  await removeDataDir(dataDir);
  await rm(parent, { recursive: true });
});
