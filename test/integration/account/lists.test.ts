import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openAccountApi, type AccountApi } from '../../support/account-api.js';

let api: AccountApi;

beforeAll(async () => {
  api = await openAccountApi();
  const accounts = await Promise.all(
    [3, 1, 4, 5, 2].map((n) =>
      api.newAccount({
        accountNumber: `000${n}-0000-0000`,
        name: `name-${6 - n}`,
        companyName: n % 2 === 0 ? 'Even & Co' : 'Odd & Co',
        tags: n > 3 ? ['large', 'all'] : ['all'],
        isActive: n !== 1,
      }),
    ),
  );
  const users = await Promise.all(
    [2, 3, 1].map((n) =>
      api.newUser({
        username: `person-${n}`,
        email: n === 1 ? '' : `p${n}@example.com`,
        isActive: n !== 3,
        isStaff: n === 2,
      }),
    ),
  );
  for (const user of users) {
    for (const account of accounts) await api.newProfile(user, account);
  }
  // Imported rows may have no dates.
  for (const table of ['accounts', 'users', 'user_profiles']) {
    await api.knex.raw(
      `UPDATE ${table} SET created_at = NULL, updated_at = NULL WHERE id IN (
         SELECT id FROM ${table} ORDER BY id LIMIT 2)`,
    );
  }
});
afterAll(() => api.close());

interface Lists {
  readonly pageSize?: number;
  readonly pageToken?: string;
  readonly filter?: string;
  readonly orderBy?: string;
}

/** LISTS are the three lists, each as the rows' ids and a text that tells them apart. */
const LISTS = {
  accounts: async (request: Lists) => {
    const { accounts, nextPageToken } = await api.call('listAccounts', request);
    return { rows: accounts.map((row) => ({ ...row, label: row.accountNumber })), nextPageToken };
  },
  users: async (request: Lists) => {
    const { users, nextPageToken } = await api.call('listUsers', request);
    return { rows: users.map((row) => ({ ...row, label: row.username })), nextPageToken };
  },
  profiles: async (request: Lists) => {
    const { userProfiles, nextPageToken } = await api.call('listUserProfiles', request);
    const rows = userProfiles.map((row) => ({ ...row, label: `${row.username} ${row.accountNumber}` }));
    return { rows, nextPageToken };
  },
};
type ListName = keyof typeof LISTS;

async function labels(list: ListName, request: Lists): Promise<string[]> {
  const { rows } = await LISTS[list](request);
  return rows.map(({ label }) => label);
}

async function inPages(list: ListName, request: Lists, pageSize: number): Promise<string[]> {
  const all: string[] = [];
  let pageToken = '';
  do {
    const page = await LISTS[list]({ ...request, pageSize, pageToken });
    expect(page.rows.length).toBeGreaterThan(0);
    all.push(...page.rows.map(({ label }) => label));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return all;
}

const ORDERS: [ListName, string][] = [
  ...['id', 'name', 'account_number', 'created_at', 'updated_at'].map((f) => ['accounts', f] as const),
  ...['id', 'username', 'created_at', 'updated_at'].map((f) => ['users', f] as const),
  ...['id', 'name', 'username', 'account_number', 'created_at', 'updated_at'].map(
    (f) => ['profiles', f] as const,
  ),
].map(([list, field]) => [list, field]);

describe.each(ORDERS)('%s by %s', (list, field) => {
  const key = field.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  const valueOf = (row: object): bigint | string => {
    const value: unknown = Object.entries(row).find(([name]) => name === key)?.[1];
    if (value === undefined) return -1n;
    if (typeof value === 'bigint' || typeof value === 'string') return value;
    const { seconds, nanos } = value as { seconds: bigint; nanos: number };
    return seconds * 1_000_000_000n + BigInt(nanos);
  };

  test('come in that order, and the same in pages of any size, up and down', async () => {
    const descending = [`${field} desc`, ...(field === 'id' ? [] : [`${field} desc, id desc`])];
    for (const orderBy of [field, ...descending]) {
      const { rows, nextPageToken } = await LISTS[list]({ orderBy, pageSize: 1000 });
      expect(nextPageToken).toBe('');
      const values = rows.map(valueOf);
      const sorted = values.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
      expect(values).toEqual(orderBy === field ? sorted : sorted.toReversed());
      const whole = rows.map(({ label }) => label);
      expect(new Set(whole).size).toBe(whole.length);
      for (const size of [1, 3, 4]) expect(await inPages(list, { orderBy }, size)).toEqual(whole);
    }
  });
});

const P = 'person-';
test.each<[ListName, string, string[]]>([
  ['accounts', 'account_number = "0002-0000-0000"', ['0002']],
  ['accounts', 'name >= "name-4" AND name != "name-5" AND name:"NAME-"', ['0002']],
  ['accounts', 'company_name:"even"', ['0002', '0004']],
  ['accounts', 'is_active = false', ['0001']],
  ['accounts', 'tag = large AND is_active = true', ['0004', '0005']],
  ['accounts', 'tag = all AND tag != large', ['0001', '0002', '0003']],
  ['accounts', 'created_at > "2020-01-01T00:00:00Z" AND updated_at < "2020-01-01T00:00:00Z"', []],
  ['users', 'username = "person-2"', [`${P}2`]],
  ['users', 'email:"EXAMPLE"', [`${P}2`, `${P}3`]],
  ['users', 'is_active = false', [`${P}3`]],
  ['users', 'is_staff = true AND is_superuser = false', [`${P}2`]],
  ['users', 'is_superuser = true', ['admin']],
  ['users', 'username:"person" AND created_at <= "2020-01-01T00:00:00Z"', []],
  ['profiles', 'username = "person-1" AND account_number > "0004-0000-0000"', [`${P}1 0005`]],
  ['profiles', 'name = "person-3" AND account_number <= "0001-0000-0000"', [`${P}3 0001`]],
  ['profiles', 'tag = absent', []],
  ['profiles', 'username = "person-1" AND updated_at < "2020-01-01T00:00:00Z"', []],
])('%s where %s', async (list, filter, expected) => {
  // The platform's own rows are there in every database.
  const found = (await labels(list, { filter })).filter((label) => !label.endsWith('3141-5926-5359'));
  expect(found.map((label) => label.replace(/-0000-0000$/, '')).sort()).toEqual(expected);
});

test.each<[ListName, Lists, string]>([
  ['accounts', { filter: 'id = 1' }, 'filter'],
  ['users', { filter: 'tag = x' }, 'filter'],
  ['profiles', { filter: 'is_active = true' }, 'filter'],
  ['accounts', { filter: 'created_at > "2026-02-30T00:00:00Z"' }, 'filter'],
  ['accounts', { orderBy: 'company_name' }, 'order_by'],
  ['users', { orderBy: 'email' }, 'order_by'],
  ['profiles', { orderBy: 'user_id' }, 'order_by'],
  ['users', { pageSize: -1 }, 'page_size'],
  ['users', { pageToken: 'x' }, 'page_token'],
])('%s with %j are refused for %s', async (list, request, field) => {
  await expect(LISTS[list](request)).rejects.toMatchObject({
    reason: 'INVALID_FIELDS',
    violations: [{ field }],
  });
});

test('pages neither repeat nor hide rows when others come and go meanwhile', async () => {
  const orderBy = 'account_number';
  const before = await labels('accounts', { orderBy });
  const first = await LISTS.accounts({ orderBy, pageSize: 3 });
  await api.newAccount({ accountNumber: '0000-0000-0009' });
  const later = await api.newAccount({ accountNumber: '0003-5000-0000' });
  const rest: string[] = [];
  for (let pageToken = first.nextPageToken; pageToken !== '';) {
    const page = await LISTS.accounts({ orderBy, pageSize: 2, pageToken });
    rest.push(...page.rows.map(({ label }) => label));
    pageToken = page.nextPageToken;
  }
  const seen = [...first.rows.map(({ label }) => label), ...rest];
  expect(seen).toEqual([...before, later.accountNumber].sort());
});

test('a page token belongs to its order and filter', async () => {
  const { nextPageToken: pageToken } = await LISTS.users({ pageSize: 1 });
  const violations = [{ field: 'page_token' }];
  await expect(LISTS.users({ pageToken, orderBy: 'username' })).rejects.toMatchObject({ violations });
  await expect(LISTS.users({ pageToken, filter: 'is_staff = true' })).rejects.toMatchObject({ violations });
});
