import fc from 'fast-check';
import type { Knex } from 'knex';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../../src/db/knex.js';
import { formatPgTimestamp, MAX_INSTANT, MIN_INSTANT, parsePgTimestamp } from '../../../src/lib/instant.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';

let database: TestDatabase;
let knex: Knex;

beforeAll(async () => {
  database = await createTestDatabase();
  knex = openDatabase({ url: database.url, poolSize: 2, connectTimeoutMs: 5_000 });
});

afterAll(async () => {
  await knex.destroy();
  await database.drop();
});

async function query<T>(sql: string, values: readonly Knex.RawBinding[], zone = 'UTC'): Promise<T[]> {
  return knex.transaction(async (trx) => {
    await trx.raw(`SET LOCAL TimeZone = '${zone}'`);
    const { rows } = await trx.raw<{ rows: T[] }>(sql, values);
    return rows;
  });
}

test.each(['UTC', 'America/Los_Angeles', 'Asia/Kathmandu', 'Pacific/Kiritimati'])(
  'every instant survives PostgreSQL, to the microsecond, in a session of the time zone %s',
  async (zone) => {
    const instants = [
      MIN_INSTANT,
      MIN_INSTANT + 1n,
      -1n,
      0n,
      1n,
      MAX_INSTANT,
      ...fc.sample(fc.bigInt(MIN_INSTANT, MAX_INSTANT), 500),
    ];
    const sql = 'SELECT at FROM unnest(?::timestamptz[]) WITH ORDINALITY AS t (at, n) ORDER BY n';
    const rows = await query<{ at: bigint }>(sql, [instants.map(formatPgTimestamp)], zone);
    expect(rows.map(({ at }) => at)).toEqual(instants);
  },
);

test("the ends of PostgreSQL's own range become the ends of ours", async () => {
  const sql = `SELECT at FROM unnest('{-infinity,4714-11-24 BC,294276-12-31 23:59:59.999999,infinity}'::timestamptz[]) AS t (at)`;
  expect(await query(sql, [])).toEqual([
    { at: MIN_INSTANT },
    { at: MIN_INSTANT },
    { at: MAX_INSTANT },
    { at: MAX_INSTANT },
  ]);
});

test('numbers are read exactly', async () => {
  expect(await query('SELECT 9223372036854775807::bigint AS n', [])).toEqual([
    { n: 9_223_372_036_854_775_807n },
  ]);
});

test('the text of an instant is read back without PostgreSQL too', () => {
  expect(parsePgTimestamp('2026-01-31 00:00:00.000001+00')).toBe(1_769_817_600_000_001n);
});
