import { randomBytes, randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ChangeFeedRepository } from '../../../src/coherence/change-feed-repository.js';
import { openDatabase } from '../../../src/db/knex.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { execute, withDatabaseName } from '../../support/sql.js';

let database: TestDatabase;
let knex: Knex;
let feed: ChangeFeedRepository;

function open(url: string): Knex {
  return openDatabase({ url, poolSize: 2, connectTimeoutMs: 5_000, statementTimeoutMs: 20_000 });
}

beforeAll(async () => {
  database = await createTestDatabase();
  knex = open(database.url);
  feed = new ChangeFeedRepository(knex);
});

afterAll(async () => {
  await knex.destroy();
  await database.drop();
});

async function run(statement: string, values: readonly unknown[] = []): Promise<void> {
  await execute(database.url, statement, values);
}

async function addUsers(count: number): Promise<void> {
  for (let made = 0; made < count; made += 1)
    await run('INSERT INTO users (username) VALUES ($1)', [randomUUID()]);
}

describe('the epoch', () => {
  test('of a database that nobody has used begins without anything before it', async () => {
    const { epoch, epochAgeMs } = await feed.registered();
    expect(epochAgeMs).toBeUndefined();
    await addUsers(1);
    expect(await feed.head()).toEqual({ epoch, revision: 1n });
  });

  test('stays through changes, their removal with time, and maintenance', async () => {
    await addUsers(3);
    const { epoch } = await feed.head();
    await run("UPDATE change_feed SET committed_at = now() - interval '25 hours'");
    await feed.prune();
    await run('VACUUM change_feed');
    await run('ANALYZE change_feed');
    await addUsers(1);
    expect((await feed.head()).epoch).toBe(epoch);
    expect((await feed.registered()).epochAgeMs).toBeUndefined();
  });

  test.each([
    'TRUNCATE change_feed',
    'DELETE FROM change_feed',
    'DELETE FROM change_feed WHERE revision = (SELECT max(revision) FROM change_feed)',
    'ALTER TABLE change_feed RENAME TO one; CREATE TABLE change_feed (LIKE one INCLUDING ALL); DROP TABLE one',
  ])('is another, that has just begun, after %s', async (statement) => {
    await addUsers(3);
    const before = await feed.head();
    await run(statement);
    const { epoch, epochAgeMs } = await feed.registered();
    expect(epoch).not.toBe(before.epoch);
    expect(epochAgeMs).toBeGreaterThanOrEqual(0);
    expect(await feed.changesAfter(before, 10)).toBe('another epoch');
    expect((await feed.head()).epoch).toBe(epoch);
  });

  test('is another in a copy of the database, although the copy holds that of the original', async () => {
    const { epoch } = await feed.head();
    await knex.destroy();
    const server = withDatabaseName(database.url, 'postgres');
    const name = `keyward_test_${randomBytes(6).toString('hex')}`;
    await execute(server, `CREATE DATABASE ${name} TEMPLATE ${new URL(database.url).pathname.slice(1)}`);
    const copied = open(withDatabaseName(database.url, name));
    knex = open(database.url);
    feed = new ChangeFeedRepository(knex);
    try {
      const [row] = await execute(withDatabaseName(database.url, name), 'SELECT epoch FROM feed_epoch');
      expect(row).toEqual({ epoch });
      expect((await new ChangeFeedRepository(copied).head()).epoch).not.toBe(epoch);
      expect((await feed.head()).epoch).toBe(epoch);
    } finally {
      await copied.destroy();
      await execute(server, `DROP DATABASE ${name} WITH (FORCE)`);
    }
  });

  test('that began ahead of the clock, which was set back, counts from now on and is the same', async () => {
    await run('TRUNCATE change_feed');
    const { epoch } = await feed.registered();
    await run("UPDATE feed_epoch SET began_at = clock_timestamp() + interval '10 minutes'");
    const { epoch: after, epochAgeMs } = await feed.registered();
    expect([after, epochAgeMs]).toEqual([epoch, expect.closeTo(0, -5)]);
    expect(epochAgeMs).toBeGreaterThanOrEqual(0);
  });
});

describe('what is registered', () => {
  test('in another epoch is left out, of an earlier version believed, and of this one counted', async () => {
    const { epoch } = await feed.head();
    const register = (id: string, of: string | null, applied: number) =>
      run(
        `INSERT INTO replicas (id, lease_expires_at, max_stale, applied, epoch, renewals)
         VALUES ($1, clock_timestamp(), '0', $2, $3, 7)`,
        [id, applied, of],
      );
    const [present, earlier, elsewhere] = [randomUUID(), randomUUID(), randomUUID()];
    await register(present, epoch, 1);
    await register(earlier, null, 2);
    await register(elsewhere, randomUUID(), 3);
    const { replicas } = await feed.registered();
    expect(replicas.map(({ replica, applied, renewals }) => [replica, applied, renewals]).toSorted()).toEqual(
      [
        [present, 1n, 7n],
        [earlier, 2n, undefined],
      ].toSorted(),
    );
  });
});
