import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Knex } from 'knex';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Revision } from '../../../src/coherence/change.js';
import { ChangeFeedRepository } from '../../../src/coherence/change-feed-repository.js';
import { openDatabase } from '../../../src/db/knex.js';
import { isRetryable } from '../../../src/db/pg-errors.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { Random } from '../../support/random.js';
import { execute } from '../../support/sql.js';
import { insertTokens, OWNER_ROWS } from '../../support/token-rows.js';

const WRITERS = 20;
const TRANSACTIONS = 25;
const TOKENS = 5;
const READERS = 4;

let database: TestDatabase;
let knex: Knex;
let feed: ChangeFeedRepository;

beforeAll(async () => {
  database = await createTestDatabase();
  knex = openDatabase({
    url: database.url,
    poolSize: WRITERS + READERS,
    connectTimeoutMs: 20_000,
    statementTimeoutMs: 20_000,
  });
  feed = new ChangeFeedRepository(knex);
  await execute(database.url, OWNER_ROWS);
  const connection: unknown = await (knex.client as Knex.Client).acquireConnection();
  await insertTokens(connection as Parameters<typeof insertTokens>[0], 1, TOKENS);
  await (knex.client as Knex.Client).releaseConnection(connection);
});

afterAll(async () => {
  await knex.destroy();
  await database.drop();
});

/** Committed is a transaction that took effect: which version of which token it made, and when it began and ended. */
interface Committed {
  readonly barrier: string;
  readonly token: bigint;
  readonly version: bigint;
  readonly startedAt: number;
  readonly endedAt: number;
}

class RolledBack extends Error {}

/** change changes one token in a transaction that lasts for a while, and may be rolled back in part or as a whole. */
async function change(random: Random): Promise<Committed | undefined> {
  const barrier = randomUUID();
  const token = BigInt(1 + random.below(TOKENS));
  const startedAt = performance.now();
  const pause = (): Promise<void> => delay(random.below(8));
  try {
    const version = await knex.transaction(async (trx) => {
      await feed.place(trx, barrier, barrier);
      await pause();
      const [row] = await trx('tokens')
        .where({ id: String(token) })
        .update({ is_active: random.chance(0.5) })
        .returning<{ row_version: bigint }[]>('row_version');
      await trx.raw('SAVEPOINT part');
      await trx('users').insert({ username: barrier });
      await trx.raw('ROLLBACK TO part');
      if (random.chance(0.1)) await trx.raw('SET CONSTRAINTS ALL IMMEDIATE');
      await pause();
      if (random.chance(0.2)) throw new RolledBack();
      return row?.row_version ?? 0n;
    });
    return { barrier, token, version, startedAt, endedAt: performance.now() };
  } catch (error) {
    if (error instanceof RolledBack || isRetryable(error)) return undefined;
    throw error;
  }
}

/** read follows the feed from a revision on, until `isOver` and there is nothing more. */
async function read(from: bigint, random: Random, isOver: () => boolean): Promise<Revision[]> {
  const seen: Revision[] = [];
  for (;;) {
    const wasOver = isOver();
    const { epoch } = await feed.head();
    const after = { epoch, revision: seen.at(-1)?.revision ?? from };
    const next = await feed.changesAfter(after, 1 + random.below(20));
    if (typeof next === 'string') throw new Error('a revision is missing');
    seen.push(...next);
    if (wasOver && next.length === 0) return seen;
    await delay(random.below(5));
  }
}

test('whoever reads on from any revision sees every committed change once, in the order of commits', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = new Random(seed);
  let isOver = false;
  const readers = Array.from({ length: READERS }, () =>
    read(0n, new Random(random.below(1e9)), () => isOver),
  );
  const work = Array.from({ length: WRITERS }, async () => {
    const own = new Random(random.below(1e9));
    const done: (Committed | undefined)[] = [];
    for (let count = 0; count < TRANSACTIONS; count += 1) done.push(await change(own));
    return done;
  });
  const committed = (await Promise.all(work)).flat().filter((each) => each !== undefined);
  isOver = true;
  const [all = [], ...others] = await Promise.all(readers);

  const outcomes = await Promise.all(
    committed.map(async (each) => ({ ...each, revision: (await feed.outcome(each.barrier)).revision })),
  );
  const made = new Map(outcomes.map(({ revision, token }) => [revision, token]));
  const message = `seed ${seed}`;
  expect(committed.length, message).toBeGreaterThan(WRITERS);
  expect(made.size, message).toBe(committed.length);
  // What OWNER_ROWS and the tokens were comes first.
  const before = all.length - committed.length;
  expect(
    all.map(({ revision }) => revision),
    message,
  ).toEqual(all.map((_, index) => BigInt(index + 1)));
  expect(
    all.slice(before).map(({ revision, changes }) => [revision, changes.map(({ id }) => id)]),
    message,
  ).toEqual([...made].sort(([a], [b]) => Number(a - b)).map(([revision, token]) => [revision, [token]]));
  for (const other of others) expect(other, message).toEqual(all);
  for (let count = 0; count < 10; count += 1) {
    const from = random.below(all.length);
    expect(await read(BigInt(from), random, () => true), message).toEqual(all.slice(from));
  }

  for (const first of outcomes) {
    for (const second of outcomes) {
      const isEarlier =
        first.endedAt < second.startedAt || (first.token === second.token && first.version < second.version);
      if (isEarlier) expect(first.revision, message).toBeLessThan(second.revision);
    }
  }
});
