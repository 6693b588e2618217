import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../../src/db/knex.js';
import { prepare } from '../../../src/db/prepared.js';
import { inTransaction, reading } from '../../../src/db/transaction.js';
import { byId } from '../../support/requests.js';
import { Peer } from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { World, type Issued, type Kept } from '../../support/world.js';

const POOL = 6;

let world: World;
let admin: Peer;

beforeAll(async () => {
  world = await World.create({ KEYWARD_DATABASE_POOL_SIZE: String(POOL) });
  admin = new Peer(world.server.address, { token: world.adminToken });
});

afterAll(async () => {
  admin.close();
  await world.close();
});

async function expectOk(tokens: readonly Issued[], secrets: readonly Kept[]): Promise<void> {
  const outcomes = await Promise.all([
    ...tokens.map(({ plaintext }) => admin.call('validateToken', { token: plaintext })),
    ...secrets.map((secret) => admin.call('accessSecret', { secret: byId(secret) })),
    ...tokens.map((token) => admin.call('renameToken', { selector: byId(token), newName: world.newName() })),
  ]);
  expect(outcomes.filter(({ code }) => code !== 'OK')).toEqual([]);
}

test('the type of a column is changed under a running service, and no call fails', async () => {
  const tokens = await Promise.all(Array.from({ length: 24 }, () => world.issue('owner-a')));
  const secrets = await Promise.all(Array.from({ length: 12 }, () => world.keep('owner-a')));
  await expectOk(tokens.slice(0, 12), secrets);
  for (const type of ['varchar(400)', 'text']) {
    await execute(world.database.url, `ALTER TABLE users ALTER COLUMN username TYPE ${type}`);
    // What memory has is forgotten too, so that everything is asked for.
    await execute(
      world.database.url,
      'UPDATE users SET is_staff = NOT is_staff; UPDATE users SET is_staff = NOT is_staff',
    );
    await expectOk(tokens, secrets);
  }
});

test('a statement is sent again without what its connection has prepared, whatever became of that', async () => {
  const { url } = world.database;
  const knex = openDatabase({ url, poolSize: POOL, connectTimeoutMs: 5_000 });
  try {
    await execute(url, 'CREATE TABLE things (n int)');
    await execute(url, 'INSERT INTO things VALUES (1)');
    const all = prepare<{ n: unknown }>(knex, 'things', 'SELECT * FROM things');
    const byAll = () => Promise.all(Array.from({ length: POOL * 2 }, () => all([])));
    const expectAll = async (n: unknown) => {
      for (const rows of await byAll()) expect(rows).toEqual([{ n }]);
    };
    await expectAll(1);
    await execute(url, 'ALTER TABLE things ALTER n TYPE text');
    await expectAll('1');

    // Another one, since that is sent without a name for a while.
    const other = prepare<{ n: unknown }>(knex, 'other', 'SELECT n FROM things');
    await other([]);
    await Promise.all(Array.from({ length: POOL }, () => knex.raw('DEALLOCATE ALL')));
    expect(await other([])).toEqual([{ n: '1' }]);
  } finally {
    await knex.destroy();
  }
});

test('a transaction whose statement has gone stale, or is gone, is run again on a new connection, and takes effect once', async () => {
  const { url } = world.database;
  const knex = openDatabase({ url, poolSize: POOL, connectTimeoutMs: 5_000 });
  try {
    await execute(url, 'CREATE TABLE counted (n int)');
    await execute(url, 'INSERT INTO counted VALUES (0)');
    const select = { sql: 'SELECT * FROM counted', options: { name: 'counted' } };
    const count = () =>
      inTransaction(knex, async (trx) => {
        await trx.raw('UPDATE counted SET n = n + 1');
        await trx.raw(select.sql).options(select.options);
        await trx.raw('SELECT pg_sleep(0.05)');
      });
    await Promise.all(Array.from({ length: POOL }, count));
    await execute(url, 'ALTER TABLE counted ALTER n TYPE bigint');
    await count();
    await Promise.all(Array.from({ length: POOL }, () => knex.raw('DEALLOCATE ALL')));
    await count();
    expect(await reading(() => knex('counted').pluck('n'))).toEqual([BigInt(POOL + 2)]);
  } finally {
    await knex.destroy();
  }
});
