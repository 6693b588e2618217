import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { connect, type KeywardClient } from '../../src/client/index.js';
import { ServerProcess } from '../support/server-process.js';
import { execute } from '../support/sql.js';
import { World } from '../support/world.js';

vi.setConfig({ testTimeout: 180_000 });

/** Tokens as large as may be: a mebibyte each, in memory some times as much. */
const TOKENS = 100;
const ANNOTATIONS = 64;
const VALUE = '🔑'.repeat(4_096);
/** What five pieces of a list take, and as much again; what five take of all the tokens does not fit. */
const HEAP_MEBIBYTES = 384;
const LISTS = 5;
const PAGES = 3;
const ROUNDS = 5;

let world: World;
let server: ServerProcess;
let clients: KeywardClient[];

beforeAll(async () => {
  world = await World.create();
  await execute(
    world.database.url,
    `WITH large AS (SELECT jsonb_object_agg('key-' || n, $1::text) AS annotations FROM generate_series(1, ${ANNOTATIONS}) n),
     made AS (
       INSERT INTO tokens (key_id, user_profile_id, name, annotations)
       SELECT gen_random_uuid(), $2, 'large-' || n, annotations
       FROM large, generate_series(1, ${TOKENS}) AS n RETURNING id)
     INSERT INTO token_digests (digest, token_id, token_key) SELECT sha512(id::text::bytea), id, '' FROM made`,
    [VALUE, String(world.profileOf('owner-a').id)],
  );
  server = await ServerProcess.start(world.database.url, {
    NODE_OPTIONS: `--max-old-space-size=${HEAP_MEBIBYTES}`,
    KEYWARD_LOG_LEVEL: 'warn',
  });
  clients = Array.from({ length: LISTS }, () =>
    connect({ server: server.address, token: world.adminToken, timeoutMs: 60_000 }),
  );
}, 180_000);

afterAll(async () => {
  for (const client of clients) client.close();
  await server.kill();
  await world.close();
});

test('five lists of the largest resources at once need a bounded memory', async () => {
  const list = async ({ tokens }: KeywardClient): Promise<number> => {
    let pageToken = '';
    let count = 0;
    for (let page = 1; page <= PAGES; page += 1) {
      const { tokens: listed, nextPageToken } = await tokens.listTokens({
        pageSize: 1_000,
        pageToken,
      });
      count += listed.length;
      pageToken = nextPageToken;
    }
    return count;
  };
  for (const count of await Promise.all(clients.map(list))) expect(count).toBeGreaterThanOrEqual(PAGES);
  expect(server.isRunning).toBe(true);
});

test('so do watches of them, of which one takes no message', async () => {
  const [quick, stalled] = clients.map(({ tokens }) => tokens.watchTokens({})[Symbol.asyncIterator]());
  await Promise.all([quick?.next(), stalled?.next()]);
  let told = 0;
  const following = (async () => {
    for (let next = await quick?.next(); next?.done === false; next = await quick?.next())
      told += next.value.events.length;
  })();
  for (let round = 1; round <= ROUNDS; round += 1) {
    await execute(world.database.url, `UPDATE tokens SET description = $1 WHERE name LIKE 'large-%'`, [
      `${round}`,
    ]);
    await expect.poll(() => told, { timeout: 60_000 }).toBe(round * TOKENS);
  }
  expect(server.isRunning).toBe(true);
  await Promise.all([quick?.return?.(), stalled?.return?.(), following]);
});
