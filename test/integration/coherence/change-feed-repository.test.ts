import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ChangeFeedRepository } from '../../../src/coherence/change-feed-repository.js';
import { openDatabase } from '../../../src/db/knex.js';
import { inTransaction } from '../../../src/db/transaction.js';
import { ChangeListener } from '../../support/change-listener.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { execute } from '../../support/sql.js';

const WRITER = randomUUID();

let database: TestDatabase;
let knex: Knex;
let feed: ChangeFeedRepository;
let listener: ChangeListener;

beforeAll(async () => {
  database = await createTestDatabase();
  knex = openDatabase({
    url: database.url,
    poolSize: 4,
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 20_000,
  });
  feed = new ChangeFeedRepository(knex);
  listener = await ChangeListener.open(database.url);
});

afterAll(async () => {
  await listener.close();
  await knex.destroy();
  await database.drop();
});

beforeEach(async () => {
  await execute(database.url, 'TRUNCATE change_feed, change_barriers, replicas');
});

/** changesAfter reads in the present epoch. */
async function changesAfter(revision: bigint, limit: number) {
  const { epoch } = await feed.head();
  return feed.changesAfter({ epoch, revision }, limit);
}

let users = 0;

async function addUser(trx: Knex = knex): Promise<void> {
  users += 1;
  await trx('users').insert({ username: `user-${users}` });
}

describe('a barrier', () => {
  test('gives the revision of its own transaction, and says in the notice who waits', async () => {
    await addUser();
    const barrier = randomUUID();
    await inTransaction(knex, async (trx) => {
      await feed.place(trx, barrier, WRITER);
      await addUser(trx);
    });
    await addUser();
    expect((await feed.outcome(barrier)).revision).toBe(2n);
    expect((await listener.take()).map(({ barriers }) => barriers)).toEqual([
      [],
      [{ id: barrier, writer: WRITER }],
      [],
    ]);
  });

  test('gives a revision also to a transaction that changes nothing', async () => {
    await addUser();
    const barrier = randomUUID();
    await inTransaction(knex, (trx) => feed.place(trx, barrier, WRITER));
    expect((await feed.outcome(barrier)).revision).toBe(2n);
    expect(await changesAfter(1n, 10)).toMatchObject([{ revision: 2n, changes: [] }]);
    expect(await listener.take()).toMatchObject([
      {},
      { all: false, users: [], barriers: [{ id: barrier, writer: WRITER }] },
    ]);
  });

  test('may be one of several', async () => {
    const barriers = [randomUUID(), randomUUID()];
    await inTransaction(knex, async (trx) => {
      await addUser(trx);
      for (const barrier of barriers) await feed.place(trx, barrier, WRITER);
    });
    for (const barrier of barriers) expect((await feed.outcome(barrier)).revision).toBe(1n);
  });

  test('that was rolled back gives no revision', async () => {
    await listener.take();
    const barrier = randomUUID();
    await expect(
      inTransaction(knex, async (trx) => {
        await feed.place(trx, barrier, WRITER);
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    await expect(feed.outcome(barrier)).rejects.toThrow();
    expect(await listener.take()).toEqual([]);
  });
});

test('replicas are read with what is left of their leases, never more than one lasts, also once it is over', async () => {
  const [one, two] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];
  await execute(
    database.url,
    `INSERT INTO replicas (id, lease_expires_at, max_stale, applied) VALUES
     ($1, clock_timestamp() + interval '100 s', '61.5 s', 7), ($2, clock_timestamp() - interval '90 s', '0', 0)`,
    [one, two],
  );
  const expected = [
    { replica: one, leftMs: 3_000, maxStaleMs: 61_500, applied: 7n },
    { replica: two, leftMs: expect.closeTo(-90_000, -4) as number, maxStaleMs: 0, applied: 0n },
  ].map((each) => ({ ...each, renewals: undefined }));
  expect((await feed.registered()).replicas.toSorted((a, b) => (a.replica < b.replica ? -1 : 1))).toEqual(
    expected,
  );
  const barrier = randomUUID();
  await inTransaction(knex, (trx) => feed.place(trx, barrier, WRITER));
  const { replicas } = await feed.outcome(barrier);
  expect(replicas.toSorted((a, b) => (a.replica < b.replica ? -1 : 1))).toEqual(expected);
});

describe('reading on', () => {
  test('gives what was changed, in order, and no more than asked for', async () => {
    for (let count = 0; count < 3; count += 1) await addUser();
    const all = await changesAfter(0n, 10);
    expect(all).toMatchObject([{ revision: 1n }, { revision: 2n }, { revision: 3n }]);
    expect(all[0]).toEqual({
      revision: 1n,
      committedAt: expect.any(BigInt) as bigint,
      changes: [{ kind: 'user', op: 'created', id: expect.any(BigInt) as bigint, granteeIds: [] }],
    });
    expect(await changesAfter(1n, 1)).toMatchObject([{ revision: 2n }]);
    expect(await changesAfter(3n, 10)).toEqual([]);
  });

  test('from the beginning of an empty feed gives nothing', async () => {
    expect(await feed.oldestRevision()).toBe(0n);
    expect(await changesAfter(0n, 10)).toEqual([]);
  });

  test('from a revision that is gone, or that never was, is refused', async () => {
    for (let count = 0; count < 3; count += 1) await addUser();
    await execute(database.url, 'DELETE FROM change_feed WHERE revision < 3');
    expect(await feed.oldestRevision()).toBe(2n);
    expect(await changesAfter(1n, 10)).toBe('pruned');
    expect(await changesAfter(2n, 10)).toMatchObject([{ revision: 3n }]);
    expect(await changesAfter(4n, 10)).toBe('pruned');
  });
});

describe('pruning', () => {
  test('keeps what is younger than a day, and always the latest, so that revisions go on', async () => {
    for (let count = 0; count < 4; count += 1) await addUser();
    await feed.prune();
    expect(await feed.oldestRevision()).toBe(0n);
    await execute(
      database.url,
      `UPDATE change_feed SET committed_at = now() - interval '25 hours' WHERE revision <= 2`,
    );
    await feed.prune();
    expect(await feed.oldestRevision()).toBe(2n);
    await execute(database.url, `UPDATE change_feed SET committed_at = now() - interval '25 hours'`);
    await Promise.all([feed.prune(), feed.prune()]);
    expect(await feed.oldestRevision()).toBe(3n);
    await addUser();
    expect(await changesAfter(4n, 10)).toMatchObject([{ revision: 5n }]);
  });

  test('keeps no more than a million revisions', async () => {
    await execute(
      database.url,
      `INSERT INTO change_feed SELECT n, now(), '[]', '{}' FROM generate_series(1, 1012000) AS n`,
    );
    await feed.prune();
    expect(await feed.oldestRevision()).toBe(12_000n);
  });

  test('keeps barriers that may be asked for, and replicas that may still answer', async () => {
    const id = (digit: number): string => `${digit}0000000-0000-4000-8000-000000000000`;
    await execute(
      database.url,
      `INSERT INTO change_barriers VALUES ($1, 1, now() - interval '9 minutes'), ($2, 1, now() - interval '11 minutes')`,
      [id(1), id(2)],
    );
    await execute(
      database.url,
      `INSERT INTO replicas VALUES ($1, now() - interval '89 minutes', '30 minutes', 0),
       ($2, now() - interval '91 minutes', '30 minutes', 0)`,
      [id(3), id(4)],
    );
    await feed.prune();
    expect(await execute(database.url, 'SELECT id FROM change_barriers')).toEqual([{ id: id(1) }]);
    expect(await execute(database.url, 'SELECT id FROM replicas')).toEqual([{ id: id(3) }]);
  });
});
