import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { digests, FeedFixture, NOTHING } from './feed-fixture.js';

let feed: FeedFixture;
let writer: pg.Client;

beforeAll(async () => {
  feed = await FeedFixture.open();
  writer = feed.writer;
});

afterAll(() => feed.close());

beforeEach(() => feed.reset());

describe('whoever writes', () => {
  test('needs no rights on the feed, and cannot lead it astray', async () => {
    await writer.query('CREATE ROLE stranger');
    try {
      await writer.query('GRANT SELECT, UPDATE ON tokens TO stranger');
      await writer.query('GRANT CREATE ON SCHEMA public TO stranger');
      await writer.query('SET ROLE stranger');
      await writer.query('CREATE TEMP TABLE pending_changes (id int)');
      await writer.query(
        `CREATE FUNCTION public.jsonb_agg(jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb'`,
      );
      await writer.query('SET search_path = pg_temp, public');
      await writer.query('UPDATE public.tokens SET is_active = false WHERE id = 1');
      expect(await feed.heard()).toEqual([{ ...NOTHING, digests: digests(1) }]);
      await expect(writer.query('SELECT FROM public.change_feed')).rejects.toThrow('permission denied');
      await writer.query('CREATE TEMP TABLE mine (txid xid8)');
      await expect(
        writer.query(
          'CREATE TRIGGER forged AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION public.keyward_publish()',
        ),
      ).rejects.toThrow('permission denied');
    } finally {
      await writer.query('RESET ROLE');
      await writer.query('RESET search_path');
      await writer.query('DROP OWNED BY stranger CASCADE');
      await writer.query('DROP ROLE stranger');
    }
  });

  test('from an older snapshot has to do it again, and is not published twice', async () => {
    await feed.withOther(async (other) => {
      await other.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await other.query('UPDATE tokens SET is_active = false WHERE id = 1');
      await writer.query('UPDATE tokens SET is_active = false WHERE id = 2');
      await expect(other.query('COMMIT')).rejects.toMatchObject({ code: '40001' });
    });
    expect(await feed.heard()).toEqual([{ ...NOTHING, digests: digests(2) }]);
    await writer.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
    await writer.query('UPDATE tokens SET is_active = false WHERE id = 1');
    await writer.query('COMMIT');
    expect(await feed.heard()).toEqual([{ ...NOTHING, digests: digests(1) }]);
  });

  test('forgets a digest too that another transaction added meanwhile', async () => {
    await feed.withOther(async (other) => {
      await other.query('BEGIN');
      await other.query(
        `INSERT INTO token_digests (digest, token_id, token_key, retires_at) VALUES (sha512('4'), 1, '', now())`,
      );
      await other.query('SET CONSTRAINTS ALL IMMEDIATE');
      const change = writer.query('UPDATE tokens SET is_active = false WHERE id = 1');
      await expect
        .poll(async () => {
          const { rowCount } = await other.query(
            `SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
             WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()`,
          );
          return rowCount;
        })
        .toBe(1);
      await other.query('COMMIT');
      await change;
    });
    expect((await feed.heard()).at(-1)).toEqual({ ...NOTHING, digests: digests(1, 4) });
  });

  test('is not hindered by what was written with the triggers switched off, and does not publish that', async () => {
    await writer.query('ALTER TABLE pending_revisions DISABLE TRIGGER pending_revisions_publish');
    await writer.query('UPDATE tokens SET is_active = false WHERE id = 1');
    await writer.query('ALTER TABLE pending_revisions ENABLE TRIGGER pending_revisions_publish');
    await writer.query('UPDATE tokens SET is_active = false WHERE id = 2');
    expect(await feed.heard()).toEqual([{ ...NOTHING, digests: digests(2) }]);
    expect(await feed.changes()).toMatchObject([{ id: '2' }]);
  });

  test('does not see what is pending of others', async () => {
    await feed.withOther(async (other) => {
      await other.query('BEGIN');
      await other.query('UPDATE tokens SET is_active = false WHERE id = 1');
      await writer.query('UPDATE tokens SET is_active = false WHERE id = 2');
      expect(await feed.heard()).toEqual([{ ...NOTHING, digests: digests(2) }]);
      await other.query('COMMIT');
      expect(await feed.heard()).toEqual([{ ...NOTHING, digests: digests(1) }]);
    });
  });
});
