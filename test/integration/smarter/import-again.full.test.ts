import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { parsePgTimestamp } from '../../../src/lib/instant.js';
import { createImportTarget, NO_ROWS, type ImportTarget } from '../../support/import-target.js';
import {
  createSmarterDatabase,
  readExpected,
  type Expected,
  type SmarterDatabase,
} from '../../support/smarter-source.js';

let expected: Expected;
let target: ImportTarget;
let source: SmarterDatabase;

beforeAll(async () => {
  expected = await readExpected();
});

beforeEach(async () => {
  target = await createImportTarget();
  source = await createSmarterDatabase();
});

afterEach(async () => {
  await target.drop();
  await source.drop();
});

test('a second import writes nothing', async () => {
  await target.run(source.url);
  const before = await target.contents();
  const writes = await target.newestWrites();
  const report = await target.run(source.url);

  expect(report.counts.token).toEqual({
    ...NO_ROWS,
    read: expected.tokens.length,
    unchanged: expected.tokens.length,
  });
  expect(report.counts.account.unchanged).toBe(expected.accounts.length);
  expect(report.counts.user.unchanged).toBe(expected.users.length);
  expect(report.counts.secret.unchanged).toBe(expected.secrets.length);
  expect(report.counts.user_profile.unchanged).toBe(expected.user_profiles.length);
  expect(await target.contents()).toEqual(before);
  expect(await target.newestWrites()).toEqual(writes);
});

test('only what changed in the source is written; changes made in Keyward stand', async () => {
  await target.run(source.url);
  const [one, two] = expected.tokens;
  if (!one || !two) throw new Error('no tokens');
  await target
    .knex('tokens')
    .where({ key_id: one.key_id })
    .update({ is_active: false, name: 'renamed here' });
  await target.knex('users').where({ id: 2 }).update({ is_active: false, email: 'here@example.com' });
  await source.run(`UPDATE drf_smarterauthtoken SET description = 'new' WHERE key_id = '${one.key_id}'`);
  await source.run(
    `UPDATE drf_smarterauthtoken SET is_active = false, tags = '["x"]' WHERE key_id = '${two.key_id}'`,
  );
  await source.run(`UPDATE auth_user SET email = 'there@example.com' WHERE id = 2`);

  const report = await target.run(source.url);

  const tokens = await target.tokens();
  expect(tokens.get(one.key_id)).toMatchObject({
    is_active: false,
    name: 'renamed here',
    description: 'new',
  });
  expect(tokens.get(two.key_id)).toMatchObject({ is_active: false, tags: ['x'], name: two.name });
  expect(await target.knex('users').where({ id: 2 }).first()).toMatchObject({
    is_active: false,
    email: 'there@example.com',
  });
  expect(report.counts.token).toMatchObject({ updated: 2, created: 0, merged: 0 });
  expect(report.counts.user).toMatchObject({ updated: 1 });
  expect(report.notes).toContainEqual({ kind: 'token', key: one.key_id, what: 'updated: description' });
});

test('use is taken over without going back and without counting as a change', async () => {
  await target.run(source.url);
  const [one, two] = expected.tokens;
  if (!one || !two) throw new Error('no tokens');
  await target.knex('tokens').where({ key_id: one.key_id }).update({ last_used_at: '2030-01-01T00:00:00Z' });
  await source.run(`UPDATE drf_smarterauthtoken SET last_used_at = '2029-05-05 05:05:05.000005+00', updated_at = now()
    WHERE key_id IN ('${one.key_id}', '${two.key_id}')`);
  const version = (await target.tokens()).get(two.key_id)?.row_version;

  const report = await target.run(source.url);

  const tokens = await target.tokens();
  expect(tokens.get(one.key_id)?.last_used_at).toBe(parsePgTimestamp('2030-01-01 00:00:00+00'));
  expect(tokens.get(two.key_id)?.last_used_at).toBe(parsePgTimestamp('2029-05-05 05:05:05.000005+00'));
  expect(tokens.get(two.key_id)?.row_version).toBe(version);
  expect(report.counts.token.unchanged).toBe(expected.tokens.length);
});

test('what was deleted in Keyward does not come back, not even changed', async () => {
  await target.run(source.url);
  const [one] = expected.tokens;
  if (!one) throw new Error('no tokens');
  await target.knex('tokens').where({ key_id: one.key_id }).delete();
  const own = expected.tokens.filter(({ user_profile_id }) => user_profile_id === 12).length;
  await target.knex('tokens').where({ user_profile_id: 12 }).delete();
  await target.knex('secrets').where({ user_profile_id: 12 }).delete();
  await target.knex('user_profiles').where({ id: 12 }).delete();
  await source.run(`UPDATE drf_smarterauthtoken SET description = 'new' WHERE key_id = '${one.key_id}'`);

  const report = await target.run(source.url);

  expect((await target.tokens()).has(one.key_id)).toBe(false);
  expect(await target.knex('user_profiles').where({ id: 12 })).toEqual([]);
  expect(report.counts.token).toMatchObject({ created: 0, leftOut: own + 1 });
  expect(report.counts.user_profile).toMatchObject({ created: 0, leftOut: 1 });
  expect(report.notes).toContainEqual({
    kind: 'token',
    key: one.key_id,
    what: 'left out: deleted in Keyward since it was imported',
  });
});

test('what vanished from the source stays, and is reported', async () => {
  await target.run(source.url);
  const [one] = expected.tokens;
  if (!one) throw new Error('no tokens');
  await source.run(`DELETE FROM drf_smarterauthtoken WHERE key_id = '${one.key_id}'`);

  const report = await target.run(source.url);

  expect((await target.tokens()).has(one.key_id)).toBe(true);
  const what = 'gone from the source since it was imported: it stays in Keyward';
  expect(report.notes.filter((note) => note.what === what)).toEqual([
    { kind: 'token', key: one.key_id, what },
  ]);
});

test('a name given away in Keyward is not merged with a new row of the source', async () => {
  await target.run(source.url);
  await target.knex('users').where({ id: 3 }).update({ username: 'newcomer' });
  await source.run(`INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email,
    is_staff, is_active, date_joined) VALUES (500, 'x', true, 'newcomer', '', '', '', true, true, now())`);

  const report = await target.run(source.url);

  expect(report.counts.user).toMatchObject({ leftOut: 1, merged: 0 });
  expect(await target.knex('users').where({ id: 3 }).first()).toMatchObject({ is_superuser: false });
});

test('a changed digest makes the old plaintext unknown, and nobody knows who has the new one', async () => {
  await target.run(source.url);
  const [one] = expected.tokens;
  if (!one) throw new Error('no tokens');
  const issuers = () => target.knex('token_digests').whereNotNull('issued_by_user_id').pluck('token_key');
  expect(await issuers()).toEqual([]);
  // As if it had been issued here.
  await target
    .knex('token_digests')
    .whereRaw("encode(digest, 'hex') = ?", [one.digest])
    .update({ issued_by_user_id: 1, issued_by_username: 'one' });
  expect(await issuers()).toHaveLength(1);
  const digest = 'ab'.repeat(64);
  await source.run(`
    CREATE TEMP TABLE moved AS SELECT * FROM drf_smarterauthtoken WHERE key_id = '${one.key_id}';
    DELETE FROM drf_smarterauthtoken WHERE key_id = '${one.key_id}';
    UPDATE knox_authtoken SET digest = '${digest}' WHERE digest = '${one.digest}';
    UPDATE moved SET authtoken_ptr_id = '${digest}';
    INSERT INTO drf_smarterauthtoken SELECT * FROM moved`);

  const report = await target.run(source.url);

  expect(report.counts.token).toMatchObject({ updated: 1, created: 0 });
  expect((await target.tokens()).get(one.key_id)?.digest).toBe(digest);
  expect(await issuers()).toEqual([]);
});
