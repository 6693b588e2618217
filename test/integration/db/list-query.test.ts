import fc from 'fast-check';
import type { Knex } from 'knex';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openDatabase } from '../../../src/db/knex.js';
import { listPage, type ListColumns } from '../../../src/db/list-query.js';
import { formatPgTimestamp, type Instant } from '../../../src/lib/instant.js';
import { parseListRequest, type ListRequest, type Page } from '../../../src/lib/page.js';
import { PIECE } from '../../../src/lib/page-size.js';
import { checked } from '../../../src/lib/violations.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { execute } from '../../support/sql.js';

interface Item {
  readonly id: bigint;
  readonly name: string;
  readonly at: Instant | null;
  readonly is_active: boolean;
  readonly tags: string[];
}

const COLUMNS: ListColumns = {
  filter: {
    id: { type: 'integer', sql: 'i.id' },
    name: { type: 'text', sql: 'i.name' },
    at: { type: 'time', sql: 'i.at' },
    is_active: { type: 'boolean', sql: 'i.is_active' },
    tag: { type: 'tag', sql: 'i.tags' },
  },
  order: {
    id: { type: 'integer', sql: 'i.id' },
    name: { type: 'text', sql: 'i.name' },
    at: { type: 'time', sql: "coalesce(i.at, '-infinity')" },
  },
};

const STAYS = { isGone: () => false };

let database: TestDatabase;
let knex: Knex;

beforeAll(async () => {
  database = await createTestDatabase();
  knex = openDatabase({ url: database.url, poolSize: 2, connectTimeoutMs: 5_000 });
  await execute(
    database.url,
    'CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, at timestamptz, is_active boolean NOT NULL, tags text[] NOT NULL)',
  );
});

afterAll(async () => {
  await knex.destroy();
  await database.drop();
});

beforeEach(() => execute(database.url, 'TRUNCATE items'));

async function insert(items: readonly Item[]): Promise<void> {
  const rows = items.map((item) => ({ ...item, at: item.at === null ? null : formatPgTimestamp(item.at) }));
  if (rows.length > 0) await knex('items').insert(rows);
}

async function list(request: Partial<ListRequest>): Promise<Page<Item>> {
  const complete = { pageSize: 0, pageToken: '', filter: '', orderBy: '', ...request };
  const page = checked((v) => parseListRequest(v, complete, COLUMNS, STAYS));
  const query = knex('items AS i').select('i.id', 'i.name', 'i.at', 'i.is_active', 'i.tags');
  return listPage(knex, query, COLUMNS, page, ({ id, name, at, is_active, tags }: Item) => ({
    id,
    name,
    at,
    is_active,
    tags,
  }));
}

/** Few different values, so that many rows are equal in what they are ordered by. */
const item = fc.record({
  name: fc.constantFrom('a', 'A', 'á', 'ab', 'b', ' b', '-b', '', "o'b", '\\', '🔑'),
  at: fc.option(fc.constantFrom(-1n, 0n, 1n, 1_769_817_600_000_001n)),
  is_active: fc.boolean(),
  tags: fc.subarray(['x', 'y']),
});
const items = fc.array(item, { minLength: 1, maxLength: 25 });
const orderBy = fc
  .uniqueArray(fc.tuple(fc.constantFrom('id', 'name', 'at'), fc.constantFrom('', ' asc', ' desc')), {
    selector: ([field]) => field,
    maxLength: 3,
  })
  .map((fields) => fields.map((parts) => parts.join('')).join(','));

function numbered(rows: readonly Omit<Item, 'id'>[], firstId: bigint, step: bigint): Item[] {
  return rows.map((row, index) => ({ ...row, id: firstId + BigInt(index) * step }));
}

test('all pages together are the whole list, in its order, though rows are inserted between them', async () => {
  await fc.assert(
    fc.asyncProperty(
      items,
      items,
      orderBy,
      fc.integer({ min: 1, max: 7 }),
      async (before, later, order, pageSize) => {
        await execute(database.url, 'TRUNCATE items');
        await insert(numbered(before, 2n, 2n));
        const whole = (await list({ orderBy: order, pageSize: 1000 })).items.map(({ id }) => id);
        const toInsert = numbered(later, 1n, 2n);
        const seen: bigint[] = [];
        for (let pageToken = '', more = true; more;) {
          const page = await list({ orderBy: order, pageSize, pageToken });
          seen.push(...page.items.map(({ id }) => id));
          await insert(toInsert.splice(0, 2));
          pageToken = page.nextPageToken;
          more = pageToken !== '';
        }
        expect(new Set(seen).size).toBe(seen.length);
        expect(seen.filter((id) => id % 2n === 0n)).toEqual(whole);
        const end = (await list({ orderBy: order, pageSize: 1000 })).items.map(({ id }) => id);
        expect(seen).toEqual(end.filter((id) => seen.includes(id)));
      },
    ),
    { numRuns: 40 },
  );
});

test('a page has as many rows as asked for, and the last has no next page', async () => {
  await insert(
    numbered(Array<Omit<Item, 'id'>>(4).fill({ name: 'a', at: null, is_active: true, tags: [] }), 1n, 1n),
  );
  const first = await list({ pageSize: 2 });
  expect(first.items).toHaveLength(2);
  const second = await list({ pageSize: 2, pageToken: first.nextPageToken });
  expect(second.items.map(({ id }) => id)).toEqual([3n, 4n]);
  expect(second.nextPageToken).toBe('');
  expect((await list({ filter: 'name = none' })).items).toEqual([]);
});

test.each<[string, (row: Item) => boolean]>([
  ['name = a', ({ name }) => name === 'a'],
  ['name != "a"', ({ name }) => name !== 'a'],
  ['name : B', ({ name }) => name.toLowerCase().includes('b')],
  [`name : "'"`, ({ name }) => name.includes("'")],
  ['name = "\\\\"', ({ name }) => name === '\\'],
  ['name : ""', () => true],
  ['at = null', ({ at }) => at === null],
  ['at != null', ({ at }) => at !== null],
  ['at != "1970-01-01T00:00:00Z"', ({ at }) => at !== 0n],
  [
    'at >= "1970-01-01T01:00:00+01:00" AND at < "2026-01-31T00:00:00.000001Z"',
    ({ at }) => at !== null && at >= 0n && at < 1_769_817_600_000_001n,
  ],
  ['is_active = false', (row) => !row.is_active],
  ['is_active != false AND id > 10', (row) => row.is_active && row.id > 10n],
  ['id = null', () => false],
  ['tag = x', ({ tags }) => tags.includes('x')],
  ['tag : x AND tag : y', ({ tags }) => tags.length === 2],
  ['tag != x', ({ tags }) => !tags.includes('x')],
  ['tag = null', ({ tags }) => tags.length === 0],
  ['tag != null', ({ tags }) => tags.length > 0],
])('the filter %s keeps what it says', async (filter, keeps) => {
  const rows = numbered(fc.sample(item, { numRuns: 60, seed: 7 }), 1n, 1n);
  await insert(rows);
  const { items: kept } = await list({ filter, pageSize: 1000 });
  expect(kept).toEqual(rows.filter(keeps));
});

test('a value that PostgreSQL cannot read is the fault of the request', async () => {
  const wrong = list({ filter: 'at > "2026-02-30T00:00:00Z"' });
  await expect(wrong).rejects.toMatchObject({ reason: 'INVALID_FIELDS', violations: [{ field: 'filter' }] });
});

test.each([['x'], ['99999999999999999999'], ['\0'], ['']])(
  'so is a page token that was tampered with: %j',
  async (value) => {
    await insert(
      numbered(Array<Omit<Item, 'id'>>(2).fill({ name: 'a', at: null, is_active: true, tags: [] }), 1n, 1n),
    );
    const { nextPageToken } = await list({ pageSize: 1 });
    const [fingerprint] = JSON.parse(Buffer.from(nextPageToken, 'base64url').toString()) as string[];
    const pageToken = Buffer.from(JSON.stringify([fingerprint, value])).toString('base64url');
    await expect(list({ pageToken })).rejects.toMatchObject({
      reason: 'INVALID_FIELDS',
      violations: [{ field: 'page_token' }],
    });
  },
);

test('a page of large rows ends early, and the database gives few rows that are not on it', async () => {
  await execute(
    database.url,
    `CREATE SEQUENCE given;
     INSERT INTO items SELECT n, repeat('x', 500000), NULL, true, '{}' FROM generate_series(1, 100) AS n`,
  );
  const page = checked((v) =>
    parseListRequest(v, { pageSize: 100, pageToken: '', filter: '', orderBy: 'at,id desc' }, COLUMNS, STAYS),
  );
  const query = knex('items AS i').select('i.id', 'i.name', knex.raw("nextval('given') AS given"));
  const { items: shown, nextPageToken } = await listPage(knex, query, COLUMNS, page, ({ id }: Item) => id);
  expect(shown).toEqual([100n, 99n, 98n, 97n, 96n, 95n]);
  expect(nextPageToken).not.toBe('');
  const [given] = await execute(database.url, 'SELECT last_value FROM given');
  expect(Number(given?.['last_value'])).toBeLessThanOrEqual(PIECE);
});
