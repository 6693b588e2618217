import type { Knex } from 'knex';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase, poolUse } from '../../../src/db/knex.js';
import { migrate } from '../../../src/db/migrate.js';
import { inTransaction, reading } from '../../../src/db/transaction.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { execute } from '../../support/sql.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { MIGRATION_LOCK } from '../../../src/db/advisory-locks.js';

const UNAVAILABLE = { reason: 'DATABASE_UNAVAILABLE' };
/** What is bounded ends within this, on a busy machine; unbounded it would not end in the time of a test. */
const SOON_MS = 15_000;

let database: TestDatabase;
let proxy: TcpProxy;
const opened: Knex[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  proxy = await startTcpProxy(database.url);
  await execute(database.url, 'CREATE TABLE rows (id int PRIMARY KEY, n int)');
  await execute(database.url, 'INSERT INTO rows VALUES (1, 0)');
});

afterAll(async () => {
  await Promise.all(opened.map((knex) => knex.destroy()));
  await proxy.close();
  await database.drop();
});

function open(statementTimeoutMs: number, url = database.url, poolSize = 4): Knex {
  const knex = openDatabase({ url, poolSize, connectTimeoutMs: 5_000, statementTimeoutMs });
  opened.push(knex);
  return knex;
}

async function soon<T>(work: Promise<T>): Promise<T> {
  const begun = performance.now();
  try {
    return await work;
  } finally {
    expect(performance.now() - begun).toBeLessThan(SOON_MS);
  }
}

/** active is how many sessions work on a statement that holds this text. */
async function active(text: string): Promise<number> {
  const rows = await execute(
    database.url,
    `SELECT FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()
       AND datname = current_database() AND strpos(query, $1) > 0`,
    [text],
  );
  return rows.length;
}

test('a statement that takes too long is given up on both sides, also one that waits for a lock, whatever the role says', async () => {
  const knex = open(1_000);
  const holder = new pg.Client({ connectionString: database.url });
  await holder.connect();
  await holder.query('BEGIN; UPDATE rows SET n = 1');
  try {
    await expect(soon(reading(() => knex.raw('SELECT 7001, pg_sleep(60)')))).rejects.toMatchObject(
      UNAVAILABLE,
    );
    const waiting = reading(() => knex.raw('SELECT 7002 FROM rows FOR SHARE'));
    await expect(soon(waiting)).rejects.toMatchObject(UNAVAILABLE);
    const changing = inTransaction(knex, (trx) => trx.raw('UPDATE rows SET n = 7003'));
    await expect(soon(changing)).rejects.toMatchObject(UNAVAILABLE);
    for (const text of ['7001', '7002', '7003']) {
      await expect.poll(() => active(text), { timeout: SOON_MS }).toBe(0);
    }
  } finally {
    await holder.end();
  }
  expect(await reading(() => knex('rows').pluck('n'))).toEqual([0]);
});

test('all statements of a transaction together take no longer than one may', async () => {
  const knex = open(3_000);
  const sleeps = async (query: Pick<Knex, 'raw'>): Promise<void> => {
    await query.raw('SELECT pg_sleep(1.8)');
    await query.raw('SELECT pg_sleep(1.8)');
  };
  await sleeps(knex);
  await expect(inTransaction(knex, sleeps)).rejects.toMatchObject(UNAVAILABLE);
  // What one transaction used is not taken from the next.
  await inTransaction(knex, (trx) => trx.raw('SELECT pg_sleep(1.8)'));
});

test('what a server that has gone silent says later is not taken for the answer to another statement', async () => {
  const knex = open(1_000, proxy.url, 1);
  await reading(() => knex.raw('SELECT 1'));
  proxy.silence();
  await expect(soon(reading(() => knex.raw("SELECT 'old' AS word")))).rejects.toMatchObject(UNAVAILABLE);
  proxy.mend();
  const { rows } = await reading(() => knex.raw<{ rows: unknown[] }>("SELECT 'new' AS word"));
  expect(rows).toEqual([{ word: 'new' }]);
});

test('when one connection is silent the others of its age are not used again, so that nobody waits for each of them', async () => {
  const knex = open(1_000, proxy.url);
  await Promise.all([1, 2, 3, 4].map(() => knex.raw('SELECT pg_sleep(0.1)')));
  expect(poolUse(knex).idle).toBe(4);
  proxy.silenceOpen();
  const before = await execute(database.url, 'SELECT pg_backend_pid() AS pid');
  expect(before).toHaveLength(1);
  await expect(soon(reading(() => knex.raw('SELECT 1')))).rejects.toMatchObject(UNAVAILABLE);
  for (let count = 0; count < 4; count += 1) await reading(() => knex.raw('SELECT 1'));
});

test('a statement has the time that the wait for a connection has left', async () => {
  const limitMs = 4_000;
  const knex = openDatabase({
    url: proxy.url,
    poolSize: 1,
    connectTimeoutMs: limitMs,
    statementTimeoutMs: limitMs,
  });
  opened.push(knex);
  const before = reading(() => knex.raw('SELECT pg_sleep(2.5)'));
  const begun = performance.now();
  proxy.loseAnswersTo("'lost'");
  await expect(reading(() => knex.raw("SELECT 'lost'"))).rejects.toMatchObject(UNAVAILABLE);
  // With a whole one for the statement it would be 6.5 seconds at least.
  expect(performance.now() - begun).toBeLessThan(6_000);
  await before;
  proxy.mend();
  expect(await reading(() => knex('rows').pluck('id'))).toEqual([1]);
});

test('a pool whose connections are silent can be closed', async () => {
  const knex = openDatabase({ url: proxy.url, poolSize: 2, connectTimeoutMs: 500, statementTimeoutMs: 500 });
  await reading(() => knex.raw('SELECT 1'));
  proxy.silence();
  const asked = expect(reading(() => knex.raw('SELECT 1'))).rejects.toMatchObject(UNAVAILABLE);
  await soon(knex.destroy());
  await asked;
  proxy.mend();
});

test('a connection that does not come about is given up in time', async () => {
  proxy.silence();
  const knex = openDatabase({ url: proxy.url, poolSize: 2, connectTimeoutMs: 500, statementTimeoutMs: 500 });
  opened.push(knex);
  await expect(soon(reading(() => knex.raw('SELECT 1')))).rejects.toMatchObject(UNAVAILABLE);
  await expect(soon(inTransaction(knex, (trx) => trx.raw('SELECT 1')))).rejects.toMatchObject(UNAVAILABLE);
  proxy.mend();
});

test('a COMMIT that waits for a lock is given up by the server, and the change is not made', async () => {
  await execute(
    database.url,
    `CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$`,
  );
  await execute(
    database.url,
    `CREATE CONSTRAINT TRIGGER wait_at_commit AFTER INSERT ON rows DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW EXECUTE FUNCTION wait_at_commit()`,
  );
  const holder = new pg.Client({ connectionString: database.url });
  await holder.connect();
  await holder.query('SELECT pg_advisory_lock(4711)');
  const forgotten: string[] = [];
  try {
    const change = inTransaction(
      open(1_000),
      async (trx) => {
        await trx('rows').insert({ id: 2, n: 2 });
        return 'inserted';
      },
      (result) => forgotten.push(result),
    );
    await expect(soon(change)).rejects.toMatchObject({ ...UNAVAILABLE, metadata: {} });
  } finally {
    await holder.end();
  }
  // To forget in vain does no harm.
  expect(forgotten).toEqual(['inserted']);
  expect(await execute(database.url, 'SELECT id FROM rows ORDER BY id')).toEqual([{ id: 1 }]);
});

test('a COMMIT without an answer may have been made, and says so', async () => {
  const knex = open(1_000, proxy.url);
  proxy.loseAnswersTo('COMMIT');
  const change = inTransaction(knex, (trx) => trx('rows').update({ n: 5 }));
  await expect(soon(change)).rejects.toMatchObject({ ...UNAVAILABLE, metadata: { outcome: 'unknown' } });
  proxy.mend();
  expect(await reading(() => knex('rows').pluck('n'))).toEqual([5]);
});

test('a migration that waits for another one ends where the database falls silent', async () => {
  const holder = new pg.Client({ connectionString: database.url });
  await holder.connect();
  await holder.query('SELECT pg_advisory_lock(7033291501)');
  try {
    const migrated = expect(soon(migrate(proxy.url))).rejects.toThrow(/has not answered within/);
    const waits =
      "SELECT FROM pg_stat_activity WHERE query LIKE '%try_advisory_xact_lock%' AND pid <> pg_backend_pid()";
    await expect.poll(() => execute(database.url, waits), { timeout: 10_000 }).not.toEqual([]);
    proxy.silence();
    await migrated;
  } finally {
    proxy.mend();
    await holder.end();
  }
}, 60_000);

test('a migration waits for another one in limited time, and names its session', async () => {
  const holder = new pg.Client({ connectionString: database.url });
  await holder.connect();
  await holder.query(`SELECT pg_advisory_lock(${MIGRATION_LOCK})`);
  try {
    const { rows } = await holder.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await expect(soon(migrate(database.url, 300))).rejects.toThrow(
      `another migration (session ${rows[0]?.pid} of the database) has not ended within 0.3 seconds`,
    );
  } finally {
    await holder.end();
  }
});
