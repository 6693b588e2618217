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

beforeEach(async () => {
  await feed.reset();
  await insertSecrets(1, 2);
  await feed.heard();
});

/** As far as the table looks at it. */
const BINDING = `sha256('x'), '0123456789abcdef'`;

async function insertSecrets(first: number, last: number): Promise<void> {
  await writer.query(
    `INSERT INTO secrets (id, user_profile_id, name, name_key)
     SELECT id, 1, 'secret-' || id, 'secret-' || id FROM generate_series($1::bigint, $2) AS id`,
    [first, last],
  );
  await writer.query(
    `INSERT INTO secret_versions (secret_id, number, format, key_id, ciphertext, binding, binding_key_id)
     SELECT id, 1, 'TEXT', '0123456789abcdef', 'x', ${BINDING} FROM generate_series($1::bigint, $2) AS id`,
    [first, last],
  );
}

const GRANT = `INSERT INTO secret_grants (secret_id, user_profile_id, granted_by) VALUES (1, 1, 'one')`;
/** secrets is a notice of secrets alone. */
const secrets = (...ids: number[]) => ({ ...NOTHING, secrets: ids.map(String) });
const ALL_SECRETS = { ...NOTHING, all_secrets: true };
const SECRET = { kind: 'secret', id: '1', profile_id: '1', user_id: '1', account_id: '1' };

describe('a secret', () => {
  test('is told of as new, once, though its first version comes with it', async () => {
    await writer.query('BEGIN');
    await insertSecrets(3, 3);
    await writer.query('COMMIT');
    expect(await feed.heard()).toEqual([secrets(3)]);
    expect(await feed.changes()).toEqual([{ ...SECRET, op: 'created', id: '3' }]);
  });

  test.each([
    `UPDATE secrets SET name = 'other' WHERE id = 1`,
    'UPDATE secrets SET deleted_at = now(), purge_at = now() WHERE id = 1',
    `INSERT INTO secret_versions (secret_id, number, format, ciphertext, binding, binding_key_id)
     VALUES (1, 2, 'TEXT', 'y', ${BINDING})`,
    `UPDATE secret_versions SET state = 'DISABLED' WHERE secret_id = 1`,
    'DELETE FROM secret_versions WHERE secret_id = 1',
  ])('is told of as updated by %s', async (statement) => {
    await writer.query(statement);
    expect(await feed.heard()).toEqual([secrets(1)]);
    expect(await feed.changes()).toEqual([{ ...SECRET, op: 'updated' }]);
  });

  test('is told of as updated by a grant, by its change and its end, with the grantee', async () => {
    for (const statement of [
      GRANT,
      'UPDATE secret_grants SET expires_at = now()',
      'DELETE FROM secret_grants',
    ]) {
      await writer.query(statement);
      expect(await feed.heard()).toEqual([secrets(1)]);
      expect(await feed.changes()).toEqual([{ ...SECRET, op: 'updated', grantees: ['1'] }]);
    }
  });

  test('is told of once with all grantees of a transaction, also of those whose profile is gone', async () => {
    await writer.query(`INSERT INTO accounts (id, account_number, name) VALUES (2, '2', 'two')`);
    await writer.query(`INSERT INTO user_profiles (id, user_id, account_id, name) VALUES (2, 1, 2, 'two')`);
    await writer.query('BEGIN');
    await writer.query(GRANT);
    await writer.query(
      `INSERT INTO secret_grants (secret_id, user_profile_id, granted_by) VALUES (1, 2, 'one')`,
    );
    await writer.query('COMMIT');
    expect(await feed.changes()).toEqual([{ ...SECRET, op: 'updated', grantees: ['1', '2'] }]);
    await writer.query('DELETE FROM user_profiles WHERE id = 2');
    expect(await feed.changes()).toContainEqual({ ...SECRET, op: 'updated', grantees: ['2'] });
  });

  test('is told of as updated to both where a grant goes to another', async () => {
    await writer.query(`INSERT INTO accounts (id, account_number, name) VALUES (2, '2', 'two')`);
    await writer.query(`INSERT INTO user_profiles (id, user_id, account_id, name) VALUES (2, 1, 2, 'two')`);
    await writer.query(GRANT);
    await writer.query('UPDATE secret_grants SET user_profile_id = 2');
    expect(await feed.changes()).toEqual([{ ...SECRET, op: 'updated', grantees: ['1', '2'] }]);
  });

  test('is told of as deleted to those to whom it was granted', async () => {
    await writer.query(GRANT);
    await writer.query('DELETE FROM secrets WHERE id = 1');
    expect(await feed.changes()).toEqual([{ ...SECRET, op: 'deleted', grantees: ['1'] }]);
  });

  test('is told of as deleted, once, by what it was', async () => {
    await writer.query('DELETE FROM secrets WHERE id = 1');
    expect(await feed.heard()).toEqual([secrets(1)]);
    expect(await feed.changes()).toEqual([{ ...SECRET, op: 'deleted' }]);
  });

  test.each([
    'UPDATE secrets SET last_accessed_at = now()',
    `UPDATE secret_versions SET key_id = 'fedcba9876543210', ciphertext = 'z', binding = sha256('z')`,
    `INSERT INTO secret_references (secret_id, kind, consumer) VALUES (1, 'a', 'b')`,
  ])('is not told of by %s', async (statement) => {
    await writer.query(statement);
    expect(await feed.heard()).toEqual([]);
  });
});

test('a notice names the secrets of a transaction, each once, besides the tokens', async () => {
  await writer.query('BEGIN');
  await writer.query('UPDATE tokens SET is_active = false WHERE id = 1');
  await writer.query(`UPDATE secrets SET name = 'other-' || id WHERE id IN (1, 2)`);
  await writer.query(`UPDATE secret_versions SET state = 'DISABLED' WHERE secret_id = 1`);
  await writer.query('COMMIT');
  expect(await feed.heard()).toEqual([{ ...secrets(1, 2), digests: digests(1) }]);
});

test('however many secrets change, no verdict is forgotten', async () => {
  await insertSecrets(1_001, 2_000);
  await feed.heard();
  await writer.query('DELETE FROM secrets WHERE id > 1000');
  await writer.query('TRUNCATE secrets CASCADE');
  expect(await feed.heard()).toEqual([ALL_SECRETS, ALL_SECRETS]);
});
