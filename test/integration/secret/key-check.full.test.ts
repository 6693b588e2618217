import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { checkHealth } from '../../../src/client/index.js';
import type { Database } from '../../../src/db/knex.js';
import { fernetKey } from '../../support/fernet-vectors.js';
import { startTestServer, type TestServer } from '../../support/server.js';
import { connectTo, newKey, sealed, storeSecrets } from '../../support/stored-secrets.js';
import { startTcpProxy } from '../../support/tcp-proxy.js';
import { World } from '../../support/world.js';

const KEY = newKey();
const FIRST_LOST = newKey();
const SECOND_LOST = newKey();

let world: World;
let knex: Database;

beforeAll(async () => {
  world = await World.create();
  knex = connectTo(world.database.url);
});

afterEach(async () => {
  await knex('secrets').delete();
});

afterAll(async () => {
  await knex.destroy();
  await world.close();
});

function start(databaseUrl: string, keys: string): Promise<TestServer> {
  return startTestServer({ databaseUrl, clock: world.clock, env: { KEYWARD_FERNET_KEYS: keys } });
}

async function storeLost(): Promise<void> {
  await storeSecrets(knex, world.profileOf('admin').id, KEY, [
    { versions: [sealed(FIRST_LOST, 'a'), sealed(FIRST_LOST, 'b'), sealed(KEY, 'c')] },
    { versions: [sealed(SECOND_LOST, 'd')], isDeleted: true },
    {
      versions: [
        { ...sealed(FIRST_LOST, 'e'), keyId: null },
        { keyId: null, ciphertext: null },
      ],
    },
  ]);
}

test('a start is refused where a key is missing, and told how many versions need which', async () => {
  await storeLost();
  const needs = [
    `2 secret versions need key ${fernetKey(FIRST_LOST).id}`,
    `1 secret version needs key ${fernetKey(SECOND_LOST).id}`,
  ];
  const error: unknown = await start(world.database.url, KEY).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Error);
  const { message } = error as Error;
  expect(message).toMatch(/, which is not configured$/);
  for (const need of needs) expect(message).toContain(need);
});

test('a start is refused, too, where only bindings need a key', async () => {
  await storeSecrets(knex, world.profileOf('admin').id, FIRST_LOST, [{ versions: [sealed(KEY, 'a')] }]);
  await expect(start(world.database.url, KEY)).rejects.toThrow(
    `1 secret version needs key ${fernetKey(FIRST_LOST).id}, which is not configured`,
  );
});

test('what nobody has the key of, and what is destroyed, needs none', async () => {
  await storeLost();
  const server = await start(world.database.url, `${KEY},${FIRST_LOST},${SECOND_LOST}`);
  expect(await checkHealth({ server: server.address })).toBe('SERVING');
  await server.stop();
});

test('a database out of reach does not stop the start; a missing key then keeps it from serving', async () => {
  await storeLost();
  const proxy = await startTcpProxy(world.database.url);
  proxy.cut();
  const server = await start(proxy.url, `${KEY},${FIRST_LOST}`);
  expect(await checkHealth({ server: server.address })).toBe('NOT_SERVING');
  proxy.mend();
  const problem = `1 secret version needs key ${fernetKey(SECOND_LOST).id}, which is not configured`;
  await vi.waitFor(() => expect(server.log()).toContain(problem), { timeout: 10_000 });
  expect(await checkHealth({ server: server.address })).toBe('NOT_SERVING');

  await knex('secrets').delete();
  const serving = async () => expect(await checkHealth({ server: server.address })).toBe('SERVING');
  await vi.waitFor(serving, { timeout: 10_000 });
  await server.stop();
  await proxy.close();
});
