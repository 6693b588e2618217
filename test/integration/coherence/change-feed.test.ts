import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { HeardNotice } from '../../support/change-listener.js';
import { insertTokens } from '../../support/token-rows.js';
import { digests, EVERYTHING, FeedFixture, NOTHING } from './feed-fixture.js';

let feed: FeedFixture;
let writer: pg.Client;

beforeAll(async () => {
  feed = await FeedFixture.open();
  writer = feed.writer;
});

afterAll(() => feed.close());

beforeEach(() => feed.reset());

const TOKEN = {
  kind: 'token',
  profile_id: '1',
  user_id: '1',
  account_id: '1',
  key_id: expect.any(String) as string,
};

describe('what is notified', () => {
  const owners: [string, Partial<HeardNotice>, object[]][] = [
    [
      `INSERT INTO accounts (id, account_number, name) VALUES (2, '2', 'two')`,
      { accounts: ['2'] },
      [{ kind: 'account', op: 'created', id: '2' }],
    ],
    [
      'UPDATE accounts SET is_active = false WHERE id = 1',
      { accounts: ['1'] },
      [{ kind: 'account', op: 'updated', id: '1' }],
    ],
    [
      `INSERT INTO users (id, username) VALUES (2, 'two')`,
      { users: ['2'] },
      [{ kind: 'user', op: 'created', id: '2' }],
    ],
    ['UPDATE users SET is_staff = false', { users: ['1'] }, [{ kind: 'user', op: 'updated', id: '1' }]],
    [
      `UPDATE user_profiles SET name = 'other'`,
      { profiles: ['1'] },
      [{ kind: 'user_profile', op: 'updated', id: '1', user_id: '1', account_id: '1' }],
    ],
    [
      'UPDATE users SET id = 7',
      { users: ['1', '7'], profiles: ['1'] },
      [
        { kind: 'user', op: 'updated', id: '7' },
        { kind: 'user', op: 'deleted', id: '1' },
        { kind: 'user_profile', op: 'updated', id: '1', user_id: '7', account_id: '1' },
      ],
    ],
  ];

  test.each(owners)('%s', async (statement, notice, items) => {
    await writer.query(statement);
    expect(await feed.heard()).toEqual([{ ...NOTHING, ...notice }]);
    expect(await feed.changes()).toHaveLength(items.length);
    expect(await feed.changes()).toEqual(expect.arrayContaining(items));
  });

  test('a deleted owner, by what it was', async () => {
    await writer.query('DELETE FROM tokens');
    await writer.query('DELETE FROM user_profiles');
    expect(await feed.changes()).toEqual([
      { kind: 'user_profile', op: 'deleted', id: '1', user_id: '1', account_id: '1' },
    ]);
    await writer.query('DELETE FROM users');
    await writer.query('DELETE FROM accounts');
    expect((await feed.heard()).slice(1)).toEqual([
      { ...NOTHING, profiles: ['1'] },
      { ...NOTHING, users: ['1'] },
      { ...NOTHING, accounts: ['1'] },
    ]);
  });

  test('a new token, by its digest: that may be remembered as unknown', async () => {
    await writer.query('BEGIN');
    await insertTokens(writer, 4, 4);
    await writer.query('COMMIT');
    expect(await feed.heard()).toEqual([{ ...NOTHING, digests: digests(4) }]);
    expect(await feed.changes()).toEqual([{ ...TOKEN, op: 'created', id: '4' }]);
  });

  test.each(['is_active = false', 'expires_at = now()', "scopes = '{a}'", "name = 'other'"])(
    'a token with %s, by all its digests',
    async (assignment) => {
      await writer.query(
        `INSERT INTO token_digests (digest, token_id, token_key, retires_at) VALUES (sha512('old'), 2, '', now())`,
      );
      const all = (await feed.heard())[0]?.digests ?? [];
      expect(all).toHaveLength(2);
      await writer.query(`UPDATE tokens SET ${assignment} WHERE id = 2`);
      expect(await feed.heard()).toEqual([{ ...NOTHING, digests: all }]);
      expect(await feed.changes()).toEqual([{ ...TOKEN, op: 'updated', id: '2' }]);
    },
  );

  test('a deleted token, by its digests, which go with it', async () => {
    await writer.query('DELETE FROM tokens WHERE id = 2');
    expect(await feed.heard()).toEqual([{ ...NOTHING, digests: digests(2) }]);
    expect(await feed.changes()).toEqual([{ ...TOKEN, op: 'deleted', id: '2' }]);
  });

  test.each([
    'UPDATE token_digests SET retires_at = now() WHERE token_id = 2',
    'DELETE FROM token_digests WHERE token_id = 2',
  ])('a change of digests alone, as an update of the token: %s', async (statement) => {
    await writer.query(statement);
    expect(await feed.heard()).toEqual([{ ...NOTHING, digests: digests(2) }]);
    expect(await feed.changes()).toEqual([{ ...TOKEN, op: 'updated', id: '2' }]);
  });

  test('a digest that becomes another, by both', async () => {
    await writer.query(`UPDATE token_digests SET digest = sha512('4') WHERE token_id = 2`);
    expect(await feed.heard()).toEqual([{ ...NOTHING, digests: digests(2, 4) }]);
    expect(await feed.changes()).toEqual([{ ...TOKEN, op: 'updated', id: '2' }]);
  });

  test('a digest that goes to another token, once, and both tokens are updated', async () => {
    await writer.query(`UPDATE token_digests SET token_id = 3, retires_at = now() WHERE token_id = 2`);
    expect(await feed.heard()).toEqual([{ ...NOTHING, digests: digests(2, 3) }]);
    expect((await feed.changes()).map(({ id, op }) => [id, op]).toSorted()).toEqual([
      ['2', 'updated'],
      ['3', 'updated'],
    ]);
  });

  test.each(['accounts, users', 'tokens', 'token_digests'])('TRUNCATE %s, as everything', async (tables) => {
    await writer.query(`TRUNCATE ${tables} CASCADE`);
    expect(await feed.heard()).toEqual([EVERYTHING]);
    expect(await feed.changes()).toContainEqual({ kind: 'token', op: 'truncated', id: null });
  });

  test('what COPY brings', async () => {
    await writer.query(`COPY users (id, username) FROM PROGRAM 'printf "8\\tcopied\\n"'`);
    expect(await feed.heard()).toEqual([{ ...NOTHING, users: ['8'] }]);
  });

  test('what INSERT ... ON CONFLICT DO UPDATE and MERGE do', async () => {
    await writer.query(
      `INSERT INTO users (id, username) VALUES (1, 'x'), (2, 'two') ON CONFLICT (id) DO UPDATE SET is_active = false`,
    );
    await writer.query(
      `MERGE INTO users USING (VALUES (2), (3)) AS source (id) ON source.id = users.id
       WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, username) VALUES (source.id, 'three')`,
    );
    const notices = await feed.heard();
    expect(notices.map(({ users }) => users)).toEqual([
      ['1', '2'],
      ['2', '3'],
    ]);
  });
});

describe('what is not notified', () => {
  test.each([
    'UPDATE tokens SET last_used_at = now()',
    'UPDATE tokens SET is_active = false WHERE id = 99',
    'DELETE FROM tokens WHERE false',
    'UPDATE users SET is_active = is_active',
    'UPDATE token_digests SET retires_at = retires_at',
    "INSERT INTO import_records (kind, source_key, target_id, fields) VALUES ('a', gen_random_uuid(), 1, '{}')",
  ])('%s', async (statement) => {
    await writer.query(statement);
    expect(await feed.heard()).toEqual([]);
  });

  test('anything before the commit, or that was rolled back', async () => {
    await writer.query('BEGIN');
    await writer.query('UPDATE tokens SET is_active = false');
    expect(await feed.heard()).toEqual([]);
    await writer.query('ROLLBACK');
    expect(await feed.heard()).toEqual([]);
    const { rows } = await writer.query(
      'SELECT FROM pending_changes UNION ALL SELECT FROM pending_revisions',
    );
    expect(rows).toHaveLength(0);
  });
});
