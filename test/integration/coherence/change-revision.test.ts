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
    await insertTokens(writer, 101, 200);
    await feed.heard();
    await writer.query('UPDATE tokens SET is_active = false WHERE id BETWEEN 101 AND 150');
    expect((await feed.heard())[0]?.digests).toHaveLength(50);
    await writer.query('UPDATE tokens SET is_active = false WHERE id BETWEEN 101 AND 160');
    expect(await feed.heard()).toEqual([EVERYTHING]);
    expect(await feed.changes()).toHaveLength(60);
  });

  test('10 thousand tokens switched off in one statement are one notification and one row', async () => {
    await insertTokens(writer, 1_001, 11_000);
    await feed.heard();
    await writer.query('UPDATE tokens SET is_active = false WHERE id > 1000');
    expect(await feed.heard()).toEqual([EVERYTHING]);
    expect(await feed.changes()).toHaveLength(10_000);
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
    ['a user is changed', () => writer.query("UPDATE users SET first_name = 'other'")],
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

  test('a statement of many rows is quick also where the plans were made for one row', async () => {
    await writer.query('ANALYZE tokens, token_digests, user_profiles');
    await writer.query('UPDATE tokens SET is_active = false WHERE id = 1');
    await insertTokens(writer, 1_001, 21_000);
    const startedAt = performance.now();
    await writer.query('UPDATE tokens SET is_active = false WHERE id > 1000');
    // Each compared with each would take minutes.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});
