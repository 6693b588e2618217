import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkHealth } from '../../../src/client/health.js';
import { byId } from '../../support/requests.js';
import { Peer } from '../../support/rpc.js';
import { startTestServer, type TestServer } from '../../support/server.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { World, type Issued } from '../../support/world.js';

const LIMIT_MS = 2_000;
/** Calls end within the limit and this, on a busy machine. */
const SPARE_MS = 10_000;
const POOL = 4;

let world: World;
let pool: TcpProxy;
let listener: TcpProxy;
let server: TestServer;
let admin: Peer;

beforeAll(async () => {
  world = await World.create();
  pool = await startTcpProxy(world.database.url);
  listener = await startTcpProxy(world.database.url);
  server = await startTestServer({
    databaseUrl: pool.url,
    clock: world.clock,
    env: {
      DATABASE_URL: pool.url,
      DATABASE_LISTEN_URL: listener.url,
      KEYWARD_DATABASE_POOL_SIZE: String(POOL),
      KEYWARD_DATABASE_TIMEOUT_SECONDS: String(LIMIT_MS / 1000),
      KEYWARD_MAX_STALE_SECONDS: '0',
    },
  });
  admin = new Peer(server.address, { token: world.adminToken });
});

afterAll(async () => {
  admin.close();
  await server.stop();
  await pool.close();
  await listener.close();
  await world.close();
});

/** timed is an outcome's code, with how long it took. */
async function timed(call: Promise<{ readonly code: string }>): Promise<{ code: string; ms: number }> {
  const begun = performance.now();
  const { code } = await call;
  return { code, ms: performance.now() - begun };
}

/** fillPool makes the pool open all its connections. */
async function fillPool(tokens: readonly Issued[]): Promise<void> {
  await Promise.all(tokens.map((token) => admin.call('getToken', { token: byId(token) })));
}

test('connections that answer no more are given up in time, and the next calls have new ones', async () => {
  const tokens = await Promise.all(Array.from({ length: 12 }, () => world.issue('owner-a')));
  await fillPool(tokens);
  expect(await server.metric('keyward_database_pool_connections')).toBe(POOL);
  pool.silenceOpen();
  const outcomes = await Promise.all(
    tokens.flatMap((token) => [
      timed(admin.call('validateToken', { token: token.plaintext })),
      timed(admin.call('getToken', { token: byId(token) })),
    ]),
  );
  for (const { code, ms } of outcomes) {
    expect(['OK', 'UNAVAILABLE']).toContain(code);
    expect(ms).toBeLessThan(LIMIT_MS + SPARE_MS);
  }
  expect(outcomes.filter(({ code }) => code === 'UNAVAILABLE').length).toBeGreaterThanOrEqual(POOL);
  // None of those that were silent is used again, though not each was asked.
  for (const token of tokens) {
    expect(await admin.call('validateToken', { token: token.plaintext })).toMatchObject({ code: 'OK' });
    expect(await admin.call('getToken', { token: byId(token) })).toMatchObject({ code: 'OK' });
  }
});

test('a call waits no longer than for one statement where the database does not answer at all', async () => {
  const token = await world.issue('owner-a');
  pool.silence();
  try {
    const calls = Array.from({ length: 30 }, (_, index) => {
      const request = { token: `${index}${token.plaintext}` };
      return [timed(admin.call('validateToken', request)), timed(admin.call('listTokens', {}))];
    });
    for (const { code, ms } of await Promise.all(calls.flat())) {
      expect(code).toBe('UNAVAILABLE');
      expect(ms).toBeLessThan(LIMIT_MS + SPARE_MS);
    }
  } finally {
    pool.mend();
  }
  await expect.poll(async () => (await admin.call('listTokens', {})).code, { timeout: 10_000 }).toBe('OK');
});

test('readiness asks as calls do: it turns when the pool is silent, though the listener hears, and back', async () => {
  const readiness = () => checkHealth({ server: server.address });
  await expect.poll(readiness, { timeout: 10_000 }).toBe('SERVING');
  pool.silence();
  try {
    // Memory may answer for as long as a lease lasts: by the clock, that is over.
    world.clock.advance(3_001);
    await expect.poll(readiness, { timeout: 20_000 }).toBe('NOT_SERVING');
  } finally {
    pool.mend();
  }
  await expect.poll(readiness, { timeout: 20_000 }).toBe('SERVING');
});

test('a change whose COMMIT has no answer is UNAVAILABLE, says that it may have been made, and is not remembered as undone', async () => {
  const token = await world.issue('owner-a');
  const client = world.client(world.adminToken, server);
  const isValid = async () => (await client.tokens.validateToken({ token: token.plaintext })).valid;
  expect(await isValid()).toBe(true);
  pool.loseAnswersTo('COMMIT');
  const outcome = await admin.call('deactivateToken', { selector: byId(token) });
  pool.mend();
  expect(outcome).toMatchObject({
    code: 'UNAVAILABLE',
    reason: 'DATABASE_UNAVAILABLE',
    metadata: { outcome: 'unknown' },
  });
  expect(await isValid()).toBe(false);
  // The chain of audit records, which that change had extended, goes on and holds.
  expect(await admin.call('activateToken', { selector: byId(token) })).toMatchObject({ code: 'OK' });
  expect(server.log()).not.toContain('tampered');
  expect(await server.metric('keyward_audit_tampering_total')).toBe(0);
});
