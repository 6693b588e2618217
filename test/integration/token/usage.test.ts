import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Peer } from '../../support/rpc.js';
import { startTestServer, type TestServer } from '../../support/server.js';
import { execute } from '../../support/sql.js';
import { existing, World } from '../../support/world.js';

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

async function readRow(id: bigint): Promise<Record<string, unknown>> {
  const [row] = await execute(
    world.database.url,
    'SELECT *, (extract(epoch FROM last_used_at) * 1000)::bigint AS last_used_ms FROM tokens WHERE id = $1',
    [String(id)],
  );
  return existing(row);
}

/** use validates a token once on a replica of its own, which then stops. */
async function use(plaintext: string, requiredScopes: string[] = []): Promise<void> {
  const server = await startTestServer({ databaseUrl: world.database.url, clock: world.clock });
  const peer = new Peer(server.address, { token: world.adminToken });
  await peer.call('validateToken', { token: plaintext, requiredScopes });
  peer.close();
  await server.stop();
}

test('a use is written when the service stops, and touches nothing but its time', async () => {
  const { id, plaintext } = await world.issue('owner-a');
  const before = await readRow(id);
  await use(plaintext);
  const after = await readRow(id);
  expect(after['last_used_ms']).toBe(String(world.clock.now()));
  const time = { last_used_at: null, last_used_ms: null };
  expect({ ...after, ...time }).toEqual({ ...before, ...time });
});

test('the time of use only moves forward', async () => {
  const { id, plaintext } = await world.issue('owner-a');
  await execute(world.database.url, "UPDATE tokens SET last_used_at = '2100-01-01' WHERE id = $1", [
    String(id),
  ]);
  await use(plaintext);
  expect((await readRow(id))['last_used_at']).toEqual(new Date('2100-01-01T00:00:00Z'));
});

test('a text that was refused was not used', async () => {
  const { id, plaintext } = await world.issue('owner-a', { scopes: ['a'] });
  await use(plaintext, ['b']);
  expect((await readRow(id))['last_used_ms']).toBeNull();
});

test('a call uses the caller’s own token', async () => {
  const { id, plaintext } = await world.issue('owner-a');
  const server = await startTestServer({ databaseUrl: world.database.url, clock: world.clock });
  const peer = new Peer(server.address, { token: plaintext });
  await peer.call('listTokens', {});
  peer.close();
  await server.stop();
  expect((await readRow(id))['last_used_ms']).toBe(String(world.clock.now()));
});

test('while the service runs, uses are written every few seconds', async () => {
  const { id, plaintext } = await world.issue('owner-a');
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  let server: TestServer | undefined;
  let peer: Peer | undefined;
  try {
    server = await startTestServer({ databaseUrl: world.database.url, clock: world.clock });
    peer = new Peer(server.address, { token: world.adminToken });
    await peer.call('validateToken', { token: plaintext });
    vi.advanceTimersByTime(5_000);
    const usedAt = String(world.clock.now());
    await vi.waitFor(async () => expect((await readRow(id))['last_used_ms']).toBe(usedAt), 5_000);
  } finally {
    vi.useRealTimers();
    peer?.close();
    await server?.stop();
  }
});
