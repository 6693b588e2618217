import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ImportOptions } from '../../../src/smarter/import-smarter.js';
import { createImportTarget, NO_ROWS, type ImportTarget } from '../../support/import-target.js';
import {
  createSmarterDatabase,
  lastToken,
  readExpected,
  type Expected,
  type SmarterDatabase,
} from '../../support/smarter-source.js';
import { IMPORT_LOCK } from '../../../src/db/advisory-locks.js';

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

test('every account, user, profile, token and secret arrives with its stored fields and its public id', async () => {
  const report = await target.run(source.url, { batchSize: 7 });

  await target.expectEverythingTaken();
  for (const [kind, rows] of [
    ['account', expected.accounts],
    ['user', expected.users],
    ['user_profile', expected.user_profiles],
    ['token', expected.tokens],
    ['secret', expected.secrets],
  ] as const) {
    expect(report.counts[kind]).toEqual({ ...NO_ROWS, read: rows.length, created: rows.length });
  }
});

test('a repeated name gets a number that no other token brings along, and the oldest token keeps it', async () => {
  await source.run(`UPDATE drf_smarterauthtoken SET name = 'same', user_profile_id = 2`);
  await source.run(`UPDATE knox_authtoken SET user_id = 2`);
  await source.run(
    `UPDATE drf_smarterauthtoken SET name = 'same-2' WHERE key_id = '${lastToken(expected).key_id}'`,
  );
  await target.run(source.url, { batchSize: 5 });
  const renamed = await target.tokens();
  const inOrder = [...expected.tokens].sort((a, b) => a.created.localeCompare(b.created));
  const names = inOrder
    .filter(({ key_id }) => key_id !== lastToken(expected).key_id)
    .map(({ key_id }) => renamed.get(key_id)?.name);
  expect(names.slice(0, 4)).toEqual(['same', 'same-3', 'same-4', 'same-5']);
  expect(renamed.get(lastToken(expected).key_id)?.name).toBe('same-2');
  expect(new Set(names).size).toBe(names.length);

  const again = await target.run(source.url, { batchSize: 11 });
  expect(again.counts.token).toEqual({ ...NO_ROWS, read: names.length + 1, unchanged: names.length + 1 });
});

test('the report names what was left out, and what has no place', async () => {
  const report = await target.run(source.url);

  expect(report.notes.filter(({ what }) => what.includes('no Smarter row'))).toHaveLength(expected.knoxOnly);
  expect(report.notes).toContainEqual({
    kind: 'token',
    key: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    what: 'annotation "smarter.sh/label" has several values: kept as a list',
  });
  const stays = new Map(report.staysInSource.map(({ name, values }) => [name, values]));
  expect(stays.get('account_account.city')).toBe(2);
  expect(stays.get('account_account.is_default_account')).toBe(1);
  expect(stays.get('auth_user.password')).toBe(expected.users.length);
  expect(stays.has('account_account.company_name')).toBe(false);
  expect(JSON.stringify(report)).not.toMatch(/[0-9a-f]{64}/);
});

test('a dry run reports the same and writes nothing', async () => {
  const before = await target.contents();
  const dry = await target.run(source.url, { dryRun: true });
  expect(await target.contents()).toEqual(before);

  const real = await target.run(source.url);
  expect(dry).toEqual({ ...real, dryRun: true });
  await source.run(`UPDATE drf_smarterauthtoken SET name = 'new', is_active = NOT is_active`);
  const imported = await target.contents();
  const second = await target.run(source.url, { dryRun: true });
  expect(second.counts.token.updated).toBe(expected.tokens.length);
  expect(await target.contents()).toEqual(imported);
});

test.each(['token', 'secret'] as const)(
  'an import that was interrupted at a %s is completed by the next one',
  async (interruptedKind) => {
    await target.run(source.url);
    const whole = await target.contents();
    await target.clear();

    let batches = 0;
    const onProgress: ImportOptions['onProgress'] = ({ kind }) => {
      batches += kind === interruptedKind ? 1 : 0;
      if (batches === 4) throw new Error('interrupted');
    };
    await expect(target.run(source.url, { batchSize: 5, onProgress })).rejects.toThrow('interrupted');

    const report = await target.run(source.url, { batchSize: 5 });
    const rows = { token: expected.tokens.length, secret: expected.secrets.length }[interruptedKind];
    expect(report.counts[interruptedKind]).toMatchObject({ unchanged: 20, created: rows - 20 });
    expect(await target.contents()).toEqual(whole);
  },
);

test('the account and user that Keyward made first get the numbers of the source, with all that hangs on them', async () => {
  await target.knex.raw(`
    INSERT INTO accounts (account_number, name) VALUES ('3141-5926-5359', 'platform');
    INSERT INTO users (username, is_staff, is_superuser) VALUES ('admin', true, true);
    INSERT INTO user_profiles (user_id, account_id, name) VALUES (100000001, 100000001, 'admin');
    INSERT INTO tokens (key_id, user_profile_id, name) VALUES (gen_random_uuid(), 100000001, 'admin');
    INSERT INTO token_digests (digest, token_id, token_key) VALUES (sha512('a'), 1, 'a')`);

  const report = await target.run(source.url);

  expect(report.counts.account).toMatchObject({ merged: 1, created: expected.accounts.length - 1 });
  expect(report.counts.user).toMatchObject({ merged: 1 });
  expect(report.counts.user_profile).toMatchObject({ merged: 1 });
  await target.knex('tokens').where({ name: 'admin' }).delete();
  await target.expectEverythingTaken();
  expect(report.notes).toContainEqual({
    kind: 'account',
    key: '3141-5926-5359',
    what: 'number 100000001 of Keyward became 1, as in the source',
  });
  const again = await target.run(source.url);
  expect(again.counts.account).toEqual({ ...NO_ROWS, read: 3, unchanged: 3 });
});

test('a number that Keyward uses for another row is not taken away from it', async () => {
  await target.knex.raw(`
    INSERT INTO users (id, username) VALUES (1, 'stranger'), (777, 'alice');
    INSERT INTO accounts (id, account_number, name) VALUES (2, '9999-9999-9999', 'stranger')`);
  await source.run(`UPDATE auth_user SET username = 'kept' WHERE id = 3`);

  const report = await target.run(source.url);

  const users = await target.knex('users').select<{ id: bigint; username: string }[]>('id', 'username');
  const ids = new Map(users.map(({ id, username }) => [username, id]));
  expect(ids.get('stranger')).toBe(1n);
  expect(ids.get('admin')).toBeGreaterThan(100_000_000n);
  expect(ids.get('alice')).toBe(2n);
  expect(ids.get('kept')).toBe(3n);
  const account = await target
    .knex('accounts')
    .where({ account_number: '0732-0183-4879' })
    .first<{ id: bigint }>();
  expect(account.id).toBeGreaterThan(100_000_000n);
  const profile = await target
    .knex('user_profiles')
    .where({ id: 2 })
    .first<{ user_id: bigint; account_id: bigint }>();
  expect(profile).toMatchObject({ user_id: 2n, account_id: account.id });
  expect(report.notes).toContainEqual({
    kind: 'user',
    key: 'admin',
    what: 'number 1 is taken in Keyward: it has a new one and so another public id',
  });
  expect((await target.tokens()).size).toBe(expected.tokens.length);
  expect((await target.run(source.url)).counts.user.unchanged).toBe(expected.users.length);
});

test('rows that cannot be taken are left out with everything below them', async () => {
  const [one, two, three] = expected.tokens;
  if (!one || !two || !three) throw new Error('no tokens');
  await source.run(`UPDATE account_account SET account_number = NULL WHERE id = 2`);
  await source.run(`ALTER TABLE drf_smarterauthtoken DROP CONSTRAINT IF EXISTS
    drf_smarterauthtoken_user_profile_id_612444c1_fk_account_u`);

  const report = await target.run(source.url);

  const below = expected.tokens.filter(({ account_number }) => account_number === '0732-0183-4879');
  expect(report.counts.account.leftOut).toBe(1);
  expect(report.counts.token.leftOut).toBe(below.length);
  const tokens = await target.tokens();
  for (const { key_id } of below) expect(tokens.has(key_id)).toBe(false);
  await source.run(`UPDATE account_account SET account_number = '0732-0183-4879' WHERE id = 2`);
  await target.run(source.url);
  await target.expectEverythingTaken();
});

test('a token whose two owners differ belongs to the profile and is switched off', async () => {
  const token = expected.tokens.find(({ owner, is_active }) => owner === 'alice' && is_active);
  if (!token) throw new Error('no token');
  await source.run(`UPDATE knox_authtoken SET user_id = 1 WHERE digest = '${token.digest}'`);

  const report = await target.run(source.url);

  const stored = (await target.tokens()).get(token.key_id);
  expect(stored).toMatchObject({ is_active: false, user_profile_id: BigInt(token.user_profile_id) });
  expect(report.notes.filter(({ what }) => what.includes('switched off')).map(({ key }) => key)).toEqual([
    token.key_id,
  ]);
});

test('of two imports at once the second waits for a while, and is refused then', async () => {
  await target.knex.transaction(async (trx) => {
    await trx.raw(`SELECT pg_advisory_xact_lock(${IMPORT_LOCK})`);
    await expect(target.run(source.url)).rejects.toThrow('Another import or export of this database');
  });
});

test('a database without Smarter tables is refused', async () => {
  await expect(target.run(target.url)).rejects.toThrow('The source is not a Smarter database');
});
