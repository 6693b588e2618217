import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, KeywardCallError, type KeywardClient } from '../../src/client/index.js';
import type { Database } from '../../src/db/knex.js';
import { ServerProcess } from '../support/server-process.js';
import { connectTo } from '../support/stored-secrets.js';
import { existing, World } from '../support/world.js';

const AT_ONCE = 64;
const DELIVERED_BEFORE_EACH_KILL = 1000;
const KILLS = 3;

let world: World;
let knex: Database;

beforeAll(async () => {
  world = await World.create();
  knex = connectTo(world.database.url);
}, 120_000);

afterAll(async () => {
  await knex.destroy();
  await world.close();
});

/**
 * accessUntilKilled reads a secret with many calls at once, kills the server in the middle of it, and gives the
 * number of values that were received.
 */
async function accessUntilKilled(secretId: bigint, token: string, value: string): Promise<number> {
  const server = await ServerProcess.start(world.database.url, { KEYWARD_LOG_LEVEL: 'warn' });
  const client = connect({ server: `127.0.0.1:${server.port}`, token });
  let received = 0;
  const access = async (): Promise<void> => {
    for (;;) {
      await expectValue(client, secretId, value);
      received += 1;
      if (received === DELIVERED_BEFORE_EACH_KILL) void server.kill();
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, access));
  client.close();
  await server.kill();
  for (const end of ends) expect(end).toMatchObject({ reason: expect.any(KeywardCallError) as unknown });
  return received;
}

async function expectValue(client: KeywardClient, secretId: bigint, value: string): Promise<void> {
  const secret = { selector: { $case: 'id', value: secretId } } as const;
  const { payload } = await client.secrets.accessSecret({ secret });
  expect(payload?.value).toEqual({ $case: 'text', value });
}

test(
  'a server killed under load leaves a record of every value that a client received',
  { timeout: 180_000 },
  async () => {
    const value = 'a value of sixty-four bytes, as many passwords and keys have it.';
    for (let kill = 0; kill < KILLS; kill += 1) {
      const { secret } = await world.admin.secrets.createSecret({
        owner: { selector: { $case: 'id', value: world.profileOf('owner-a').id } },
        name: world.newName(),
        payload: { value: { $case: 'text', value } },
      });
      const caller = await world.issue('owner-a');
      const { id } = existing(secret);

      const received = await accessUntilKilled(id, caller.plaintext, value);

      expect(received).toBeGreaterThanOrEqual(DELIVERED_BEFORE_EACH_KILL);
      const recorded = await knex('audit_events')
        .where({
          action: 'SECRET_ACCESSED',
          outcome: 'OK',
          resource_id: String(id),
          actor_key_id: caller.keyId,
        })
        .count<{ count: bigint }[]>('* as count');
      expect(Number(recorded[0]?.count)).toBeGreaterThanOrEqual(received);
    }
  },
);
