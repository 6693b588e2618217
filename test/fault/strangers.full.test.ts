import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { registerCanary } from '../support/canaries.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { keyward, serve, type CommandOptions, type Serving } from '../support/keyward-command.js';
import { TEST_KEY } from '../support/keyring.js';
import { pathOf, Peer, type MethodName } from '../support/rpc.js';
import { certificateOptions, MUTUAL_TLS } from '../support/server.js';
import { residentBytes, UnfinishedBodies } from '../support/unfinished-bodies.js';

const MEGABYTE = 2 ** 20;
/** Of resident memory at its most, what is not yet collected included; without limits it is more than a gigabyte. */
const MAX_RISE = 96 * MEGABYTE;
/**
 * MiB of each half of the young generation at its most, as V8 has it up to Node 22. From Node 24 on it takes twice that
 * where much is under way, which is up to 48 MiB more that are nobody's.
 */
const YOUNG_HALF = 16;

let database: TestDatabase;
let adminToken: string;

beforeAll(async () => {
  database = await createTestDatabase();
  const env = { DATABASE_URL: database.url, KEYWARD_FERNET_KEYS: TEST_KEY };
  adminToken = registerCanary((await keyward(['bootstrap'], { env })).trim());
});

afterAll(() => database.drop());

function start(options: Pick<CommandOptions, 'env' | 'openFiles'> = {}): Promise<Serving> {
  return serve({
    ...options,
    env: {
      DATABASE_URL: database.url,
      KEYWARD_FERNET_KEYS: TEST_KEY,
      KEYWARD_LISTEN: '127.0.0.1:0',
      KEYWARD_HTTP_LISTEN: '127.0.0.1:0',
      NODE_OPTIONS: `--max-semi-space-size=${YOUNG_HALF}`,
      ...options.env,
    },
  });
}

async function stop(serving: Serving): Promise<void> {
  serving.signal('SIGTERM');
  await serving.exited;
}

/** warmUp lets the heap grow to what validations alone take: what it grows by afterwards is the strangers'. */
async function warmUp(peer: Peer): Promise<void> {
  for (let round = 0; round < 400; round += 1) {
    await Promise.all(Array.from({ length: 100 }, () => peer.call('validateToken', { token: adminToken })));
  }
}

/** The service keeps the memory that it took at most, so that each of these tests adds to those before it. */
describe('50 connections with 100 unfinished bodies of 4 MiB each', () => {
  let serving: Serving;
  let peer: Peer;
  let before: number;

  beforeAll(async () => {
    serving = await start();
    peer = new Peer(serving.address, { token: adminToken });
    await warmUp(peer);
    before = residentBytes(serving.pid, 'now');
  }, 240_000);

  afterAll(async () => {
    peer.close();
    await stop(serving);
  });

  test.each<readonly [string, MethodName, Record<string, string>, boolean]>([
    ['of strangers', 'validateToken', {}, false],
    ['with credentials that are none', 'createSecret', { authorization: 'Bearer nobody' }, false],
    ['of a caller', 'batchValidateTokens', {}, true],
  ])(
    '%s take little memory, and end within 30 s',
    { timeout: 120_000 },
    async (_, method, headers, isCaller) => {
      const startedAt = performance.now();
      const unfinished = await UnfinishedBodies.send({
        address: serving.address,
        path: pathOf(method),
        headers: isCaller ? { authorization: `Bearer ${adminToken}` } : headers,
        connections: 50,
        callsOfEach: 100,
      });
      const milliseconds: number[] = [];
      while (unfinished.open > 0 && performance.now() - startedAt < 30_000) {
        const sentAt = performance.now();
        expect(await peer.call('validateToken', { token: adminToken })).toMatchObject({ code: 'OK' });
        milliseconds.push(performance.now() - sentAt);
        // A few hundred a second: what a service under full load takes in memory is not what is measured.
        await delay(3);
      }
      const rise = residentBytes(serving.pid, 'most') - before;
      const p99 = milliseconds.sort((a, b) => a - b)[Math.floor(milliseconds.length * 0.99)] ?? 0;
      console.log(
        `${method}: ${Math.round(rise / MEGABYTE)} MiB more, ended after ${Math.round((performance.now() - startedAt) / 1000)} s, ` +
          `${milliseconds.length} validations meanwhile, p99 ${p99.toFixed(1)} ms`,
      );
      expect(unfinished.open).toBe(0);
      expect(rise).toBeLessThan(MAX_RISE);
      unfinished.close();
    },
  );

  test(
    'while the database does not answer, strangers who wait take little memory',
    { timeout: 120_000 },
    async () => {
      const lock = new Client({ connectionString: database.url }).on('error', () => undefined);
      await lock.connect();
      await lock.query('BEGIN; LOCK TABLE token_digests');
      const unfinished = await UnfinishedBodies.send({
        address: serving.address,
        path: pathOf('validateToken'),
        headers: { authorization: 'Bearer nobody' },
        connections: 50,
        callsOfEach: 100,
      });
      for (let call = 0; call < 500; call += 1) {
        expect(await peer.call('validateToken', { token: adminToken })).toMatchObject({ code: 'OK' });
      }
      const rise = residentBytes(serving.pid, 'most') - before;
      console.log(`${Math.round(rise / MEGABYTE)} MiB more while they wait`);
      expect(rise).toBeLessThan(MAX_RISE);
      unfinished.close();
      await lock.end();
    },
  );
});

test.each([
  ['without TLS', {}, {}],
  ['with TLS', MUTUAL_TLS, certificateOptions('staff-a')],
])(
  '600 idle connections where 512 files may be open keep nobody with good credentials out, %s',
  async (_, env, options) => {
    const serving = await start({ env, openFiles: 512 });
    const port = Number(serving.address.split(':')[1]);
    const sockets = Array.from({ length: 600 }, () =>
      connect({ host: '127.0.0.1', port }).on('error', () => undefined),
    );
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    const peer = new Peer(`localhost:${port}`, { token: adminToken, ...options });
    expect(await peer.call('validateToken', { token: adminToken })).toMatchObject({ code: 'OK' });
    expect((await fetch(`${serving.http}/healthz`)).status).toBe(200);
    const metrics = await (await fetch(`${serving.http}/metrics`)).text();
    expect(metrics).toMatch(/^keyward_connections_ended_total\{reason="evicted"\} [1-9]/m);
    expect(metrics).toMatch(/^keyward_connections\{state="authenticated"\} 1$/m);
    for (const socket of sockets) socket.destroy();
    peer.close();
    await stop(serving);
  },
);
