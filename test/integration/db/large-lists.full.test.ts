import type { Knex } from 'knex';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ACCOUNT_COLUMNS, USER_COLUMNS, USER_PROFILE_COLUMNS } from '../../../src/account/account-columns.js';
import { AccountRepository } from '../../../src/account/account-repository.js';
import { UserProfileRepository } from '../../../src/account/user-profile-repository.js';
import { UserRepository } from '../../../src/account/user-repository.js';
import { AUDIT_COLUMNS } from '../../../src/audit/audit-columns.js';
import { AuditRepository } from '../../../src/audit/audit-repository.js';
import type { CallerRights } from '../../../src/authz/rights.js';
import { openDatabase } from '../../../src/db/knex.js';
import { MOST_LOOKED_AT } from '../../../src/db/large-list.js';
import type { ListColumns } from '../../../src/db/list-query.js';
import type { FieldType } from '../../../src/lib/filter.js';
import { parseListRequest, type Page, type PageQuery } from '../../../src/lib/page.js';
import { checked } from '../../../src/lib/violations.js';
import { SECRET_COLUMNS } from '../../../src/secret/secret-columns.js';
import { SecretRepository } from '../../../src/secret/secret-repository.js';
import { TOKEN_COLUMNS } from '../../../src/token/token-columns.js';
import { TokenRepository } from '../../../src/token/token-repository.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { extent } from '../../support/extent.js';
import { fillEstate, LARGE_ACCOUNT, SMALL_ACCOUNT } from '../../support/large-estate.js';

/** LARGE_LISTS=1000000 is the size that the figures in docs/performance.md were measured at. */
const TOKENS = extent('LARGE_LISTS', 40_000, 40_000);
const SIZES = { tokens: TOKENS, secrets: Math.max(15_000, TOKENS / 5), events: TOKENS };
const LIMIT_MS = TOKENS;

const rightsIn = (
  { accountId, profileId }: { readonly accountId: bigint; readonly profileId: bigint },
  rank: { readonly isStaff: boolean; readonly isSuperuser: boolean },
): CallerRights => ({ userId: profileId, ...rank, profiles: [{ id: profileId, accountId }] });

const CALLERS = {
  'a superuser': rightsIn(SMALL_ACCOUNT, { isStaff: true, isSuperuser: true }),
  'staff of a large account': rightsIn(LARGE_ACCOUNT, { isStaff: true, isSuperuser: false }),
  'a member of a small account': rightsIn(SMALL_ACCOUNT, { isStaff: false, isSuperuser: false }),
} as const;
type CallerName = keyof typeof CALLERS;

/** Values that some rows have, and that none has. */
const VALUES: Readonly<Record<FieldType, readonly string[]>> = {
  text: ['= "none"', ': "77"', ': "no such text"', '> "user-5"'],
  boolean: ['= true', '= false'],
  integer: ['= 1', '= 1007', '> 1500'],
  time: ['= null', '< "2026-01-02T00:00:00Z"', '> "2026-01-02T00:00:00Z"', '> "2030-01-01T00:00:00Z"'],
  uuid: ['= "00000000-0000-0000-0000-000000000007"'],
  tag: ['= "ci"', '= "none"'],
  annotation: ['= "none"'],
};

interface List {
  readonly columns: ListColumns;
  /** Those who may list it. */
  readonly callers: readonly CallerName[];
  readonly read: (rights: CallerRights, page: PageQuery) => Promise<Page<unknown>>;
}

let database: TestDatabase;
let knex: Knex;
let client: pg.Client;
let lists: Readonly<Record<string, List>>;
/** The statements of a page. */
let statements: { readonly sql: string; readonly bindings: readonly unknown[] }[] = [];

const ALL = Object.keys(CALLERS) as CallerName[];
const COLUMNS = {
  tokens: TOKEN_COLUMNS,
  secrets: SECRET_COLUMNS,
  'audit events': AUDIT_COLUMNS,
  accounts: ACCOUNT_COLUMNS,
  users: USER_COLUMNS,
  'user profiles': USER_PROFILE_COLUMNS,
} as const;

beforeAll(async () => {
  database = await createTestDatabase();
  await fillEstate(database.url, SIZES);
  knex = openDatabase({ url: database.url, poolSize: 2, connectTimeoutMs: 5_000 });
  knex.on('query', ({ sql, bindings }: (typeof statements)[number]) => statements.push({ sql, bindings }));
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const [tokens, secrets, events] = [
    new TokenRepository(knex),
    new SecretRepository(knex),
    new AuditRepository(knex),
  ];
  const [accounts, users, profiles] = [
    new AccountRepository(knex),
    new UserRepository(knex),
    new UserProfileRepository(knex),
  ];
  const superusers = ['a superuser'] as const;
  lists = {
    tokens: { columns: TOKEN_COLUMNS, callers: ALL, read: (rights, page) => tokens.list(rights, page) },
    secrets: {
      columns: SECRET_COLUMNS,
      callers: ALL,
      read: (rights, page) => secrets.list(rights, 0n, false, page),
    },
    'audit events': {
      columns: AUDIT_COLUMNS,
      callers: ALL,
      read: ({ userId, isStaff, isSuperuser, profiles: own }, page) =>
        events.list(
          isSuperuser
            ? 'everything'
            : { actorUserId: userId, accountIds: isStaff ? own.map(({ accountId }) => accountId) : [] },
          page,
        ),
    },
    accounts: { columns: ACCOUNT_COLUMNS, callers: superusers, read: (_, page) => accounts.list(page) },
    users: { columns: USER_COLUMNS, callers: superusers, read: (_, page) => users.list(page) },
    'user profiles': {
      columns: USER_PROFILE_COLUMNS,
      callers: superusers,
      read: (_, page) => profiles.list(page),
    },
  };
}, 3_600_000);

afterAll(async () => {
  await client.end();
  await knex.destroy();
  await database.drop();
});

interface Plan {
  readonly 'Node Type': string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly Plan[];
}

/** tooMuch names the parts of a plan that go through more rows than a page may look at. */
function tooMuch(plan: Plan): string[] {
  const parts = plan.Plans ?? [];
  const rows = ({
    'Actual Rows': actual,
    'Actual Loops': loops,
    'Rows Removed by Filter': removed = 0,
  }: Plan): number => (actual + removed) * loops;
  const type = plan['Node Type'];
  const through = type.endsWith('Sort')
    ? parts.reduce((sum, part) => sum + part['Actual Rows'] * part['Actual Loops'], 0)
    : rows(plan);
  const isScan = /^(Seq|Index|Bitmap Heap|Index Only) Scan$/.test(type);
  // One row more tells that there are more; rows are told as a rounded mean of all loops.
  const isTooMuch = (type.endsWith('Sort') || isScan) && through > 1.001 * MOST_LOOKED_AT;
  const own = isTooMuch ? [`${type} of ${through} rows ${plan['Relation Name'] ?? ''}`] : [];
  return [...own, ...parts.flatMap(tooMuch)];
}

/** read reads a page, and tells what in the plans of its statements goes through too many rows. */
async function read(
  list: List,
  caller: CallerName,
  request: { readonly orderBy?: string; readonly filter?: string; readonly pageToken?: string },
): Promise<{ readonly page: Page<unknown>; readonly problems: readonly string[] }> {
  const complete = { pageSize: 0, pageToken: '', filter: '', orderBy: '', ...request };
  const query = checked((v) => parseListRequest(v, complete, list.columns, { isGone: () => false }));
  statements = [];
  const page = await list.read(CALLERS[caller], query);
  const problems: string[] = [];
  for (const { sql, bindings } of statements) {
    const select = sql.replace(/^DECLARE list NO SCROLL CURSOR FOR /, '');
    if (sql.startsWith('BEGIN') || sql.startsWith('SET')) await client.query(sql);
    if (!/^(select|with|\()/i.test(select)) continue;
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
      `EXPLAIN (ANALYZE, FORMAT JSON) ${select}`,
      [...bindings],
    );
    for (const row of rows) {
      const found = tooMuch(row['QUERY PLAN'][0].Plan);
      if (found.length > 0)
        problems.push(`${found.join(', ')} in ${JSON.stringify(request)} for ${caller}: ${select}`);
    }
  }
  await client.query('ROLLBACK');
  return { page, problems };
}

describe.each(Object.keys(COLUMNS) as (keyof typeof COLUMNS)[])(
  'no page of %s looks at very many rows',
  (name) => {
    const { order, filter } = COLUMNS[name];
    const callers = (): readonly CallerName[] => lists[name]?.callers ?? [];
    const listed = (): List => {
      const list = lists[name];
      if (list === undefined) throw new Error('there is such a list');
      return list;
    };

    test.each(Object.keys(order))('in the order of %s, either way', { timeout: LIMIT_MS }, async (field) => {
      for (const caller of callers()) {
        for (const orderBy of [field, `${field} desc`]) {
          const first = await read(listed(), caller, { orderBy });
          const second = await read(listed(), caller, { orderBy, pageToken: first.page.nextPageToken });
          expect([...first.problems, ...second.problems]).toEqual([]);
          if (caller === 'a superuser') expect(first.page.items).not.toEqual([]);
        }
      }
    });

    test.each(Object.entries(filter).map(([field, { type }]) => [field, type] as const))(
      'with a filter by %s',
      { timeout: LIMIT_MS },
      async (field, type) => {
        for (const caller of callers()) {
          for (const value of VALUES[type]) {
            const text = `${type === 'annotation' ? `${field}.team` : field} ${value}`;
            expect((await read(listed(), caller, { filter: text })).problems).toEqual([]);
          }
        }
      },
    );
  },
);

/** idsOf reads all pages. */
async function idsOf(
  list: List,
  caller: CallerName,
  request: { orderBy: string; filter: string },
): Promise<bigint[]> {
  const ids: bigint[] = [];
  let pageToken = '';
  do {
    const complete = { pageSize: 1000, pageToken, ...request };
    const query = checked((v) => parseListRequest(v, complete, list.columns, { isGone: () => false }));
    const { items, nextPageToken } = await list.read(CALLERS[caller], query);
    ids.push(...items.map((item) => (item as { readonly id: bigint }).id));
    pageToken = nextPageToken;
  } while (pageToken !== '');
  return ids;
}

/** What each may see, by the SQL of the rule itself. */
const SEEN: Readonly<Record<CallerName, string>> = {
  'a superuser': 'true',
  'staff of a large account': `p.account_id = ${LARGE_ACCOUNT.accountId}`,
  'a member of a small account': `p.account_id = ${SMALL_ACCOUNT.accountId}`,
};
const ORDERS = ['name desc', 'account_number', 'username desc', 'user_profile_id', 'expires_at'];

test.each(ORDERS)(
  'all pages by %s are what there is to see, each once',
  { timeout: 10 * LIMIT_MS },
  async (orderBy) => {
    const list = lists['tokens'];
    if (list === undefined) throw new Error('there is such a list');
    const [field, way = ''] = orderBy.split(' ');
    const key = list.columns.order[field ?? '']?.sql ?? '';
    for (const caller of ALL) {
      for (const [filter, condition] of [
        ['', 'true'],
        ['tag = "ci"', `'ci' = ANY (t.tags)`],
      ] as const) {
        const by = ['username', 'account_number'].includes(field ?? '') ? `, t.user_profile_id ${way}` : '';
        const { rows } = await client.query<{ id: string }>(
          `SELECT t.id FROM tokens t JOIN user_profiles p ON p.id = t.user_profile_id JOIN users u ON u.id = p.user_id
         JOIN accounts a ON a.id = p.account_id WHERE ${SEEN[caller]} AND ${condition}
         ORDER BY ${key} ${way}${by}, t.id ${way}`,
        );
        const seen = await idsOf(list, caller, { orderBy, filter });
        expect(seen.length).toBe(rows.length);
        expect(seen.every((id, index) => String(id) === rows[index]?.id)).toBe(true);
      }
    }
  },
);
