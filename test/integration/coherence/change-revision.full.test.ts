import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
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

describe('one transaction is one revision', () => {
  test('whatever it changes, and each thing is there once', async () => {
    await writer.query('BEGIN');
    await writer.query('UPDATE users SET is_active = false');
    await writer.query('UPDATE tokens SET is_active = false WHERE id = 1');
    await writer.query('UPDATE tokens SET is_active = true WHERE id = 1');
    await insertTokens(writer, 4, 4);
    await writer.query('UPDATE tokens SET is_active = false WHERE id = 4');
    await writer.query('DELETE FROM tokens WHERE id = 2');
    await writer.query('COMMIT');
    expect(await feed.heard()).toEqual([{ ...NOTHING, users: ['1'], digests: digests(1, 2, 4) }]);
    expect((await feed.changes()).map(({ kind, id, op }) => [kind, id, op])).toEqual([
      ['user', '1', 'updated'],
      ['token', '1', 'updated'],
      ['token', '4', 'created'],
      ['token', '2', 'deleted'],
    ]);
  });

  test('without what was rolled back to a savepoint', async () => {
    await writer.query('BEGIN');
    await writer.query('SAVEPOINT a');
    await writer.query('UPDATE tokens SET is_active = false WHERE id = 1');
    await writer.query('ROLLBACK TO a');
    await writer.query('UPDATE tokens SET is_active = false WHERE id = 2');
    await writer.query('SAVEPOINT b');
    await writer.query('UPDATE tokens SET is_active = false WHERE id = 3');
    await writer.query('ROLLBACK TO b');
    await writer.query('COMMIT');
    expect(await feed.heard()).toEqual([{ ...NOTHING, digests: digests(2) }]);
  });

  test('or one each for what comes before and after SET CONSTRAINTS ALL IMMEDIATE', async () => {
    await writer.query('BEGIN');
    await writer.query('UPDATE tokens SET is_active = false WHERE id = 1');
    await writer.query('SAVEPOINT a');
    await writer.query('SET CONSTRAINTS ALL IMMEDIATE');
    await writer.query('UPDATE tokens SET is_active = false WHERE id = 3');
    await writer.query('ROLLBACK TO a');
    await writer.query('SET CONSTRAINTS ALL IMMEDIATE');
    await writer.query('UPDATE tokens SET is_active = false WHERE id = 2');
    await writer.query('COMMIT');
    expect(await feed.heard()).toEqual([
      { ...NOTHING, digests: digests(1) },
      { ...NOTHING, digests: digests(2) },
    ]);
  });

  test('a notice that would not fit is one of everything', async () => {
    await writer.query('BEGIN');
    await insertTokens(writer, 101, 150);
    await writer.query('COMMIT');
    expect((await feed.heard())[0]?.digests).toHaveLength(50);
    await writer.query('BEGIN');
    await insertTokens(writer, 201, 260);
    await writer.query('COMMIT');
    expect(await feed.heard()).toEqual([EVERYTHING]);
    expect(await feed.changes()).toHaveLength(60);
  });

  test('10 thousand tokens switched off in one statement are one notification, of their profile, and one row', async () => {
    await insertTokens(writer, 1_001, 11_000);
    await feed.heard();
    await writer.query('UPDATE tokens SET is_active = false WHERE id > 1000');
    expect(await feed.heard()).toEqual([{ ...NOTHING, profiles: ['1'] }]);
    const updated = await feed.changes();
    expect(updated).toHaveLength(10_000);
    expect(updated.every(({ op, account_id }) => op === 'updated' && account_id === '1')).toBe(true);
  });

  test('many tokens that go to another profile are everything: they are remembered as those of the one before', async () => {
    await writer.query(`INSERT INTO accounts (id, account_number, name) VALUES (2, '2', 'two')`);
    await writer.query("INSERT INTO user_profiles (id, user_id, account_id, name) VALUES (2, 1, 2, 'two')");
    await insertTokens(writer, 1_001, 2_000);
    await feed.heard();
    await writer.query('UPDATE tokens SET user_profile_id = 2 WHERE id > 1000');
    expect(await feed.heard()).toEqual([EVERYTHING]);
    await writer.query('BEGIN');
    await writer.query('UPDATE tokens SET user_profile_id = 1 WHERE id = 1001');
    await writer.query('DELETE FROM tokens WHERE id > 1000');
    await writer.query('COMMIT');
    expect(await feed.heard()).toEqual([EVERYTHING]);
    expect(await feed.changes()).toHaveLength(1_000);
  });

  test('what is noted together is merged with what else is done to the same tokens', async () => {
    await insertTokens(writer, 1_001, 1_100);
    await feed.heard();
    await writer.query('BEGIN');
    await writer.query('UPDATE tokens SET is_active = false WHERE id > 1000');
    await writer.query('DELETE FROM tokens WHERE id > 1020');
    await writer.query('DELETE FROM tokens WHERE id IN (1001, 1002)');
    await writer.query('UPDATE users SET is_active = false');
    await writer.query('COMMIT');
    expect(await feed.heard()).toEqual([
      { ...NOTHING, users: ['1'], profiles: ['1'], digests: digests(1_001, 1_002) },
    ]);
    const changes = await feed.changes();
    expect(changes).toHaveLength(101);
    expect(new Set(changes.map(({ kind, id }) => `${String(kind)} ${String(id)}`)).size).toBe(101);
    const ops = changes.map(({ op }) => op);
    expect(ops.filter((op) => op === 'deleted')).toHaveLength(82);
    expect(ops.filter((op) => op === 'updated')).toHaveLength(19);
    const { rows } = await writer.query('SELECT FROM pending_parts UNION ALL SELECT FROM pending_changes');
    expect(rows).toHaveLength(0);
  });

  test('few tokens with many plaintexts are deleted, by their profile', async () => {
    await writer.query(
      `INSERT INTO token_digests (digest, token_id, token_key, retires_at)
       SELECT sha512(('old' || n)::bytea), 2, '', now() FROM generate_series(1, 100) n`,
    );
    await feed.heard();
    await writer.query('DELETE FROM tokens WHERE id = 2');
    expect(await feed.heard()).toEqual([{ ...NOTHING, profiles: ['1'] }]);
    expect((await feed.changes()).map(({ id, op }) => [id, op])).toEqual([['2', 'deleted']]);
  });

  test('10 thousand tokens deleted with their digests are one notification and one row', async () => {
    await insertTokens(writer, 1_001, 11_000);
    await feed.heard();
    await writer.query('DELETE FROM tokens WHERE id > 1000');
    expect(await feed.heard()).toEqual([{ ...NOTHING, profiles: ['1'] }]);
    const deleted = await feed.changes();
    expect(deleted).toHaveLength(10_000);
    expect(deleted.every(({ op, account_id }) => op === 'deleted' && account_id === '1')).toBe(true);
  });

  test.each([
    ['another token is changed', () => writer.query('UPDATE tokens SET name = $1 WHERE id = 1', ['other'])],
    ['a plaintext is new', () => insertTokens(writer, 20_001, 20_001)],
  ])('where many tokens are deleted and %s, everything is to be forgotten', async (_what, change) => {
    await insertTokens(writer, 1_001, 2_000);
    await feed.heard();
    await writer.query('BEGIN');
    await writer.query('DELETE FROM tokens WHERE id > 1000');
    await change();
    await writer.query('COMMIT');
    expect(await feed.heard()).toEqual([EVERYTHING]);
  });

  test('more changes than one row of the feed should hold are several rows, visible at once', async () => {
    await writer.query('BEGIN');
    await insertTokens(writer, 1_001, 26_000);
    await writer.query('COMMIT');
    const [notice, ...others] = await feed.listener.take();
    expect(others).toEqual([]);
    const { rows } = await writer.query<{ revision: string; changes: number; all: boolean }>(
      `SELECT revision, jsonb_array_length(changes) AS changes, (notice -> 'all')::boolean AS all
       FROM change_feed ORDER BY revision DESC LIMIT 3`,
    );
    expect(rows[0]?.revision).toBe(notice?.revision);
    expect(rows.map(({ changes }) => changes)).toEqual([5_000, 10_000, 10_000]);
    expect(rows.map(({ all }) => all)).toEqual([true, true, true]);
  });

  test('a statement of many rows ends also where the plans were made for one row', async () => {
    await writer.query('ANALYZE tokens, token_digests, user_profiles');
    await writer.query('UPDATE tokens SET is_active = false WHERE id = 1');
    await insertTokens(writer, 1_001, 21_000);
    // Each compared with each would take minutes, and fail.
    await writer.query("SET statement_timeout = '60s'");
    await writer.query('UPDATE tokens SET is_active = false WHERE id > 1000');
    await writer.query('RESET statement_timeout');
  }, 120_000);
});
