import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { RetryInfo } from '../../../src/gen/google/rpc/error_details.js';
import { Status } from '../../../src/gen/google/rpc/status.js';
import { byId, requestFor } from '../../support/requests.js';
import { METHOD_NAMES, Peer, type Outcome } from '../../support/rpc.js';
import { startTestServer, type TestServer } from '../../support/server.js';
import { execute } from '../../support/sql.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { World } from '../../support/world.js';

const MAX_STALE_SECONDS = 1;
/** A lease and the time for stale answers, and then some for a busy machine. */
const OUTAGE_MS = 3_000 + MAX_STALE_SECONDS * 1000 + 3_000;

let world: World;
let proxy: TcpProxy;
let server: TestServer;
let admin: Peer;

beforeAll(async () => {
  world = await World.create();
  proxy = await startTcpProxy(world.database.url);
});

afterAll(async () => {
  await proxy.close();
  await world.close();
});

beforeEach(async () => {
  const env = { KEYWARD_MAX_STALE_SECONDS: String(MAX_STALE_SECONDS) };
  server = await startTestServer({ databaseUrl: proxy.url, clock: world.clock, env });
  admin = new Peer(server.address, { token: world.adminToken });
  return async () => {
    proxy.mend();
    admin.close();
    await server.stop();
  };
});

/** retryDelayOf is the RetryInfo of an outcome, in seconds. */
function retryDelayOf({ trailers }: Outcome): bigint | undefined {
  const hex = /grpc-status-details-bin: ([0-9a-f]+)/.exec(trailers)?.[1] ?? '';
  const { details } = Status.decode(Buffer.from(hex, 'hex'));
  const info = details.find(({ typeUrl }) => typeUrl.endsWith('google.rpc.RetryInfo'));
  return info && RetryInfo.decode(info.value).retryDelay?.seconds;
}

test('without the database what is cached passes until its time, and all else is UNAVAILABLE', async () => {
  const token = await world.issue('owner-a');
  const { plaintext } = token;
  // A stream of a caller who is cached may begin; what it asks for is UNAVAILABLE, and it is granted nothing.
  const methods = METHOD_NAMES.filter((method) => method !== 'holdVerdicts');
  const requests = await Promise.all(
    methods.map(async (method) => [method, await requestFor(method, world)] as const),
  );
  // What was changed before is known to all replicas when this returns, and is not forgotten later.
  await world.admin.tokens.activateToken({ selector: byId(token) });
  expect(await admin.call('validateToken', { token: plaintext })).toMatchObject({ code: 'OK' });
  proxy.cut();
  const cached = await admin.call('validateToken', { token: plaintext });
  expect(cached.code).toBe('OK');
  for (const [method, request] of requests) {
    const outcome = await admin.call(method, request);
    expect(outcome, method).toMatchObject({ code: 'UNAVAILABLE', reason: 'DATABASE_UNAVAILABLE' });
    expect(retryDelayOf(outcome), method).toBeGreaterThan(0n);
  }
  const answer = async () => (await admin.call('validateToken', { token: plaintext })).code;
  await expect.poll(answer, { timeout: OUTAGE_MS }).toBe('UNAVAILABLE');
  proxy.mend();
  expect(await admin.call('validateToken', { token: plaintext })).toMatchObject({ code: 'OK' });
});

test('connections that the database ends are replaced, and nobody sees INTERNAL', async () => {
  const tokens = await Promise.all(Array.from({ length: 30 }, () => world.issue('owner-a')));
  const outcomes: Outcome[] = [];
  const all = tokens.map(async ({ plaintext }, index) => {
    if (index % 10 === 0) {
      await execute(
        world.database.url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keyward' AND datname = current_database()",
      );
    }
    outcomes.push(await admin.call('validateToken', { token: plaintext }));
    outcomes.push(await admin.call('listTokens', {}));
  });
  await Promise.all(all);
  expect(outcomes.filter(({ code }) => code !== 'OK' && code !== 'UNAVAILABLE')).toEqual([]);
  expect(await admin.call('listTokens', {})).toMatchObject({ code: 'OK' });
});

test('a database that takes no connections for a while makes calls UNAVAILABLE, and they succeed after it', async () => {
  const { url } = world.database;
  const name = new URL(url).pathname.slice(1);
  const allow = (allowed: boolean) =>
    execute(inject('databaseServerUrl'), `ALTER DATABASE ${name} ALLOW_CONNECTIONS ${allowed}`);
  await allow(false);
  try {
    await execute(
      inject('databaseServerUrl'),
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1',
      [name],
    );
    for (let call = 0; call < 10; call += 1) {
      expect(await admin.call('listTokens', {})).toMatchObject({
        code: 'UNAVAILABLE',
        reason: 'DATABASE_UNAVAILABLE',
      });
    }
  } finally {
    await allow(true);
  }
  await expect.poll(async () => (await admin.call('listTokens', {})).code, { timeout: 10_000 }).toBe('OK');
});
