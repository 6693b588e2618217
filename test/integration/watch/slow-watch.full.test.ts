import { once } from 'node:events';
import http2 from 'node:http2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { framed } from '../../support/raw-http2.js';
import { encodeRequest, pathOf } from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { Watching } from '../../support/watching.js';
import { World } from '../../support/world.js';

const TOKENS = 5_000;
/** Changes after which a watcher that does not take them is given up. */
const MAX_BEHIND = 20_000;

let world: World;

beforeAll(async () => {
  world = await World.create();
  await execute(
    world.database.url,
    `WITH made AS (
       INSERT INTO tokens (key_id, user_profile_id, name)
       SELECT gen_random_uuid(), $1, 'many-' || n FROM generate_series(1, $2::int) AS n RETURNING id)
     INSERT INTO token_digests (digest, token_id, token_key) SELECT sha512(id::text::bytea), id, '' FROM made`,
    [String(world.profileOf('owner-a').id), TOKENS],
  );
});

afterAll(() => world.close());

test(
  'a client that does not read is cut off, and few messages are held in memory for it',
  { timeout: 120_000 },
  async () => {
    // The library's own client reads ahead without limit.
    const session = http2.connect(`http://${world.server.address}`);
    const call = session.request({
      ':method': 'POST',
      ':path': pathOf('watchTokens'),
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${world.adminToken}`,
    });
    call.end(framed(encodeRequest('watchTokens', {})));
    await once(call, 'response');
    const healthy = await Watching.begin(world.admin.tokens.watchTokens({}));
    let seen = 0;
    for (let round = 0; round * TOKENS <= MAX_BEHIND + TOKENS; round += 1) {
      await execute(world.database.url, `UPDATE tokens SET description = $1 WHERE name LIKE 'many-%'`, [
        `round ${round}`,
      ]);
      for (seen = 0; seen < TOKENS;) seen += (await healthy.next()).events.length;
    }
    await healthy.close();
    let bytes = 0;
    const trailers = once(call, 'trailers') as Promise<[http2.IncomingHttpHeaders]>;
    call.on('data', (chunk: Buffer) => (bytes += chunk.length));
    // RESOURCE_EXHAUSTED.
    expect((await trailers)[0]).toMatchObject({ 'grpc-status': '8' });
    // Far less than the more than 10 MB of all changes.
    expect(bytes).toBeLessThan(4_000_000);
    session.destroy();
  },
);
