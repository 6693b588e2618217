import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createImportTarget, NO_ROWS, type ImportTarget } from '../../support/import-target.js';
import { hasMariaDb, startMariaDb, whyNoMariaDb, type MariaDb } from '../../support/mariadb.js';
import {
  createSmarterDatabase,
  readExpected,
  readFixture,
  type Expected,
} from '../../support/smarter-source.js';

if (!hasMariaDb()) {
  console.warn(`NOT TESTED: import from MySQL or MariaDB (${whyNoMariaDb()})`);
}

describe.skipIf(!hasMariaDb())('from MariaDB', () => {
  let server: MariaDb;
  let dump: string;
  let databases = 0;
  let expected: Expected;
  let target: ImportTarget;

  beforeAll(async () => {
    expected = await readExpected();
    dump = await readFixture('smarter-db.mysql.sql');
    server = await startMariaDb();
  });

  beforeEach(async () => {
    target = await createImportTarget();
  });

  afterEach(async () => {
    await target.drop();
  });

  afterAll(async () => {
    await server.stop();
  });

  function restore(): Promise<string> {
    databases += 1;
    return server.createDatabase(`smarter_${databases}`, dump);
  }

  test('the target is the same as from PostgreSQL, whatever the time zone of the server', async () => {
    const report = await target.run(await restore(), { batchSize: 7 });
    await target.expectEverythingTaken();
    const fromMaria = await target.contents();

    await target.clear();
    const source = await createSmarterDatabase();
    const reportFromPostgres = await target.run(source.url);
    expect(await target.contents()).toEqual(fromMaria);
    expect(report.counts).toEqual(reportFromPostgres.counts);
    expect(report.staysInSource).toEqual(reportFromPostgres.staysInSource);
    const again = await target.run(await restore());
    expect(again.counts.token).toEqual({
      ...NO_ROWS,
      read: expected.tokens.length,
      unchanged: expected.tokens.length,
    });
    expect(again.counts.secret.unchanged).toBe(expected.secrets.length);
    await source.drop();
  });

  test('text that PostgreSQL cannot store is removed and reported, or leaves the row out', async () => {
    const url = await restore();
    const [one, two, three, four] = expected.tokens.map(({ key_id }) => key_id.replaceAll('-', ''));
    await server.run(
      url,
      String.raw`
      UPDATE drf_smarterauthtoken SET name = 'a\0b', description = '\0',
        tags = '["x\\u0000", "x", 5, {"a": 1.50}]',
        annotations = '[{"a\\u0000": "b\\u0000"}, 7, {"big": 12345678901234567890.10, "deep": {"z": "\\u0000", "a": [ ]}}]'
        WHERE key_id = '${one}';
      UPDATE drf_smarterauthtoken SET name = '\0' WHERE key_id = '${two}';
      UPDATE drf_smarterauthtoken SET key_id = 'not-a-uuid' WHERE key_id = '${three}';
      SET foreign_key_checks = 0;
      UPDATE knox_authtoken SET digest = UPPER(digest)
        WHERE digest = (SELECT authtoken_ptr_id FROM drf_smarterauthtoken WHERE key_id = '${four}');
      ALTER TABLE auth_user MODIFY username varchar(150) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL;
      UPDATE auth_user SET username = 'admin\0' WHERE id = 3;
      UPDATE account_account SET name = '\0\0' WHERE id = 3`,
    );

    const report = await target.run(url);

    const tokens = await target.tokens();
    const keyIds = expected.tokens.map(({ key_id }) => key_id);
    expect(tokens.get(keyIds[0] ?? '')).toMatchObject({
      name: 'ab',
      description: '',
      tags: ['x', '5', '{"a":1.50}'],
      annotations: { a: 'b', '#2': '7', big: '12345678901234567890.10', deep: '{"z":"\\u0000","a":[]}' },
    });
    const what = report.notes.map((note) => note.what);
    expect(what).toContain('left out: its key id is not a UUID');
    expect(what).toContain('left out: it has no knox row');
    expect(what).toContain('left out: its username has characters that PostgreSQL cannot store');
    expect(what).toContain('annotations: characters that PostgreSQL cannot store were removed');
    expect(tokens.has(keyIds[3] ?? '')).toBe(false);
    expect(await target.knex('accounts').where({ id: 3 }).first()).toMatchObject({ name: '0106-1705-0821' });
    expect(report.counts.user.leftOut).toBe(1);
  });
});
