import type { Knex } from 'knex';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, KeywardCallError, type KeywardClient } from '../../src/client/index.js';
import type { Database } from '../../src/db/knex.js';
import { ServerProcess } from '../support/server-process.js';
import { connectTo } from '../support/stored-secrets.js';
import { existing, World } from '../support/world.js';

const AT_ONCE = 64;
const DELIVERED_BEFORE_EACH_KILL = 1000;
const KILLS = 3;
const VALUE = 'a value of sixty-four bytes, as many passwords and keys have it.';

let world: World;
let knex: Database;
/** One for each call under way: a record of a call that got no answer must not stand for another that did. */
let secretIds: bigint[];

beforeAll(async () => {
  world = await World.create();
  knex = connectTo(world.database.url);
  secretIds = [];
  while (secretIds.length < AT_ONCE) secretIds.push(await createSecret());
}, 120_000);

afterAll(async () => {
  await knex.destroy();
  await world.close();
});

async function createSecret(): Promise<bigint> {
  const { secret } = await world.admin.secrets.createSecret({
    owner: { selector: { $case: 'id', value: world.profileOf('owner-a').id } },
    name: world.newName(),
    payload: { value: { $case: 'text', value: VALUE } },
  });
  return existing(secret).id;
}

/**
 * accessUntilKilled reads all secrets at once, each again and again, one call after the other, kills the server in
 * the middle of it, after `beforeKill`, and gives how often the value of each secret was received.
 */
async function accessUntilKilled(token: string, beforeKill: () => Promise<void>): Promise<number[]> {
  const server = await ServerProcess.start(world.database.url, { KEYWARD_LOG_LEVEL: 'warn' });
  const client = connect({ server: `127.0.0.1:${server.port}`, token });
  const received = secretIds.map(() => 0);
  let inAll = 0;
  let killed: Promise<void> | undefined;
  const access = async (secretId: bigint, index: number): Promise<void> => {
    for (;;) {
      await expectValue(client, secretId);
      received[index] = (received[index] ?? 0) + 1;
      inAll += 1;
      if (inAll === DELIVERED_BEFORE_EACH_KILL) killed = beforeKill().finally(() => server.kill());
    }
  };
  const ends = await Promise.allSettled(secretIds.map(access));
  client.close();
  await server.kill();
  await killed;
  for (const end of ends) expect(end).toMatchObject({ reason: expect.any(KeywardCallError) as unknown });
  expect(inAll).toBeGreaterThanOrEqual(DELIVERED_BEFORE_EACH_KILL);
  return received;
}

async function expectValue(client: KeywardClient, secretId: bigint): Promise<void> {
  const secret = { selector: { $case: 'id', value: secretId } } as const;
  const { payload } = await client.secrets.accessSecret({ secret });
  expect(payload?.value).toEqual({ $case: 'text', value: VALUE });
}

/** recordsOf counts the records of each secret's accesses by a key. */
async function recordsOf(keyId: string): Promise<number[]> {
  const rows: { resource_id: bigint }[] = await knex('audit_events')
    .where({ action: 'SECRET_ACCESSED', outcome: 'OK', actor_key_id: keyId })
    .select('resource_id');
  return secretIds.map((id) => rows.filter((row) => row.resource_id === id).length);
}

/** untilAuditWaits returns when a writer of the audit log waits for a lock that `trx` holds. */
async function untilAuditWaits(trx: Knex.Transaction): Promise<void> {
  await expect
    .poll(async () => trx('pg_locks').whereRaw("relation = 'audit_events'::regclass AND NOT granted"), {
      timeout: 60_000,
    })
    .not.toEqual([]);
}

async function expectRecordOfEveryValue(beforeKill: () => Promise<void>): Promise<void> {
  const caller = await world.issue('owner-a');

  const received = await accessUntilKilled(caller.plaintext, beforeKill);

  const recorded = await recordsOf(caller.keyId);
  const unrecorded = received.map((count, index) => Math.max(0, count - (recorded[index] ?? 0)));
  expect(unrecorded, 'values received without a record, by secret').toEqual(secretIds.map(() => 0));
}

test(
  'a server killed under load leaves a record of every value that a client received',
  { timeout: 180_000 },
  async () => {
    for (let kill = 0; kill < KILLS; kill += 1) await expectRecordOfEveryValue(() => Promise.resolve());
  },
);

test(
  'a server killed while the audit log cannot be written has given no value without a record',
  { timeout: 180_000 },
  async () => {
    const trx = await knex.transaction();
    await expectRecordOfEveryValue(async () => {
      await trx.raw('LOCK TABLE audit_events IN SHARE MODE');
      await untilAuditWaits(trx);
    }).finally(() => trx.rollback());
  },
);
