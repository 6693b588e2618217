import type { Knex } from 'knex';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDatabase } from '../../../src/db/knex.js';
import { migrate, schemaProblem } from '../../../src/db/migrate.js';
import { createEmptyDatabase, type TestDatabase } from '../../support/database.js';
import { keyward, runKeyward } from '../../support/keyward-command.js';
import { execute } from '../../support/sql.js';

const ALL = [
  '0001-tokens',
  '0002-secrets',
  '0003-audit',
  '0004-change-feed',
  '0005-issued-by',
  '0006-secret-bindings',
  '0007-audit-accounts',
  '0008-feed-epoch',
  '0009-done-requests',
  '0010-oldest-served',
  '0011-notice-of-deletions',
  '0012-many-changes',
  '0013-token-references',
  '0014-import-conflicts',
  '0016-prefixes',
  '0017-look-up-by-index',
  '0018-announced-exports',
  '0019-callers-memory',
  '0020-list-indexes',
];

let database: TestDatabase;
let knex: Knex;

beforeEach(async () => {
  database = await createEmptyDatabase();
  knex = openDatabase({ url: database.url, poolSize: 2, connectTimeoutMs: 5_000 });
});

afterEach(async () => {
  await knex.destroy();
  await database.drop();
});

test('an empty database is brought up to date, and doing so again changes nothing', async () => {
  expect(await schemaProblem(knex)).toBe('the database has no Keyward schema; run "keyward migrate"');
  expect(await migrate(database.url)).toEqual({ applied: ALL, newer: [] });
  expect(await schemaProblem(knex)).toBeUndefined();
  await knex('accounts').insert({ account_number: '0000-0000-0001', name: 'one' });
  expect(await migrate(database.url)).toEqual({ applied: [], newer: [] });
  expect(await knex('accounts').select('name')).toEqual([{ name: 'one' }]);
});

test('of several at once one migrates, and the others wait for it', async () => {
  const ran = await Promise.all(Array.from({ length: 3 }, () => migrate(database.url)));
  expect(ran.map(({ applied }) => applied).toSorted((a, b) => b.length - a.length)).toEqual([ALL, [], []]);
  expect(await schemaProblem(knex)).toBeUndefined();
});

test('a migration that crashed and left its lock behind does not stop the next', async () => {
  await execute(
    database.url,
    'CREATE TABLE keyward_migrations_lock ("index" serial PRIMARY KEY, is_locked integer)',
  );
  await execute(database.url, 'INSERT INTO keyward_migrations_lock (is_locked) VALUES (1)');
  expect(await migrate(database.url)).toEqual({ applied: ALL, newer: [] });
  expect(await migrate(database.url)).toEqual({ applied: [], newer: [] });
});

test('a migration that fails leaves nothing behind', async () => {
  await execute(database.url, 'CREATE TABLE tokens (id int)');
  await expect(migrate(database.url)).rejects.toThrow('relation "tokens" already exists');
  const rows = await execute(database.url, "SELECT to_regclass('accounts') AS accounts");
  expect(rows).toEqual([{ accounts: null }]);
  expect(await schemaProblem(knex)).toBe(
    `the database's schema lacks ${ALL.join(', ')}; run "keyward migrate"`,
  );
  await execute(database.url, 'DROP TABLE tokens');
  expect(await migrate(database.url)).toEqual({ applied: ALL, newer: [] });
});

test('a newer schema is no problem, an older one is', async () => {
  await migrate(database.url);
  await execute(database.url, "INSERT INTO keyward_migrations (name, batch) VALUES ('9999-later', 2)");
  expect(await schemaProblem(knex)).toBeUndefined();
  expect(await migrate(database.url)).toEqual({ applied: [], newer: ['9999-later'] });
  await execute(database.url, "UPDATE keyward_migrations SET name = '0000-other' WHERE name = '0001-tokens'");
  expect(await schemaProblem(knex)).toBe(`the database's schema lacks 0001-tokens; run "keyward migrate"`);
});

test('a version that comes back to a newer schema is told whether that serves it', async () => {
  const env = { DATABASE_URL: database.url };
  await migrate(database.url);
  await execute(database.url, "INSERT INTO keyward_migrations (name, batch) VALUES ('9999-later', 2)");
  expect(await keyward(['migrate'], { env })).toBe(
    'The schema is up to date. A newer version has made it (9999-later); it serves this one too.\n',
  );
  await execute(database.url, "UPDATE keyward_schema SET oldest_served = '9999-later'");
  const problem =
    "the database's schema is that of a newer version (9999-later), which serves versions from 9999-later on; " +
    `this one ends with ${ALL.at(-1)}`;
  expect(await schemaProblem(knex)).toBe(problem);
  expect(await runKeyward(['migrate'], { env })).toMatchObject({
    code: 1,
    stdout: '',
    stderr: `keyward: ${problem}\n`,
  });
});
