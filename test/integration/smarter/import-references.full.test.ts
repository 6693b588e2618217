import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createImportTarget, type ImportTarget } from '../../support/import-target.js';
import { hasMariaDb, startMariaDb, whyNoMariaDb, type MariaDb } from '../../support/mariadb.js';
import {
  createSmarterDatabase,
  readExpected,
  readFixture,
  type Expected,
  type SmarterDatabase,
} from '../../support/smarter-source.js';

if (!hasMariaDb()) {
  console.warn(`NOT TESTED: import of references from MariaDB (${whyNoMariaDb()})`);
}

/** Tables of the original's other applications that point at its keys and secrets, as Django makes them. */
const TABLES = `
  CREATE TABLE plugin_apiconnection (
    id bigint PRIMARY KEY, name varchar(255) NOT NULL, api_key_id bigint NULL, proxy_password_id bigint NULL,
    CONSTRAINT api_a FOREIGN KEY (api_key_id) REFERENCES secret_secret (id),
    CONSTRAINT api_b FOREIGN KEY (proxy_password_id) REFERENCES secret_secret (id));
  CREATE TABLE plugin_sqlconnection (
    id bigint PRIMARY KEY, name varchar(255) NOT NULL, password_id bigint NULL, proxy_password_id bigint NULL,
    CONSTRAINT sql_a FOREIGN KEY (password_id) REFERENCES secret_secret (id),
    CONSTRAINT sql_b FOREIGN KEY (proxy_password_id) REFERENCES secret_secret (id));
  CREATE TABLE provider_provider (
    id bigint PRIMARY KEY, name varchar(255) NOT NULL, api_key_id bigint NULL,
    CONSTRAINT provider_a FOREIGN KEY (api_key_id) REFERENCES secret_secret (id));
  CREATE TABLE llm_client_llmclientapikey (
    id bigint PRIMARY KEY, llm_client_id bigint NOT NULL, api_key_id varchar(128) NOT NULL,
    CONSTRAINT llm_a FOREIGN KEY (api_key_id) REFERENCES drf_smarterauthtoken (authtoken_ptr_id))`;

describe.each(['PostgreSQL', 'MariaDB'])('from %s', (engine) => {
  const isMaria = engine === 'MariaDB';
  let server: MariaDb | undefined;
  let databases = 0;
  let expected: Expected;
  let source: SmarterDatabase;
  let target: ImportTarget;

  const testHere = test.skipIf(isMaria && !hasMariaDb());

  beforeAll(async () => {
    expected = await readExpected();
    if (isMaria && hasMariaDb()) server = await startMariaDb();
  });

  beforeEach(async () => {
    target = await createImportTarget();
    source = isMaria ? await inMariaDb() : await createSmarterDatabase();
    const suffix = isMaria ? ' CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;' : ';';
    await source.run(`${TABLES.split(';').join(suffix)}${suffix}`);
  });

  afterEach(async () => {
    await target.drop();
    await source.drop();
  });

  afterAll(() => server?.stop());

  async function inMariaDb(): Promise<SmarterDatabase> {
    const maria = server;
    if (maria === undefined) throw new Error('there is no MariaDB');
    databases += 1;
    const url = await maria.createDatabase(
      `smarter_refs_${databases}`,
      await readFixture('smarter-db.mysql.sql'),
    );
    return { url, run: (sql) => maria.run(url, sql), drop: () => Promise.resolve() };
  }

  /** references are what Keyward has: what is used, the kind and the consumer. */
  async function references(): Promise<string[]> {
    const { rows } = await target.knex.raw<{ rows: { text: string }[] }>(`
      SELECT concat_ws(' ', s.id, r.kind, r.consumer) AS text
      FROM secret_references r JOIN secrets s ON s.id = r.secret_id
      UNION ALL
      SELECT concat_ws(' ', t.key_id, r.kind, r.consumer)
      FROM token_references r JOIN tokens t ON t.id = r.token_id
      ORDER BY 1`);
    return rows.map(({ text }) => text);
  }

  async function seed(): Promise<{ secrets: number[]; token: Expected['tokens'][number] }> {
    const secrets = expected.secrets.slice(0, 3).map(({ id }) => id);
    const [token] = expected.tokens;
    if (token === undefined) throw new Error('there are no tokens');
    const [a = 0, b = 0, c = 0] = secrets;
    await source.run(`
      INSERT INTO plugin_apiconnection VALUES (1, 'weather', ${a}, ${b}), (2, 'idle', NULL, NULL);
      INSERT INTO plugin_sqlconnection VALUES (7, 'orders', ${b}, ${a}), (8, 'orders', ${b}, NULL);
      INSERT INTO provider_provider VALUES (3, 'openai', ${c});
      INSERT INTO llm_client_llmclientapikey VALUES (5, 42, '${token.digest}')`);
    return { secrets, token };
  }

  testHere('every foreign key that points at a key or a secret becomes a reference', async () => {
    const { secrets, token } = await seed();
    const report = await target.run(source.url, { batchSize: 2 });
    const [a, b, c] = secrets.map(String);
    expect(await references()).toEqual(
      [
        `${a} api_connection.api_key weather (1)`,
        `${b} api_connection.proxy_password weather (1)`,
        `${b} sql_connection.password orders (7)`,
        `${b} sql_connection.password orders (8)`,
        `${a} sql_connection.proxy_password orders (7)`,
        `${c} provider.api_key openai (3)`,
        `${token.key_id} llm_client.api_key 42`,
      ].sort(),
    );
    expect(report.references).toEqual({ read: 7, added: 7, removed: 0, leftOut: 0 });
    const again = await target.run(source.url);
    expect(again.references).toEqual({ read: 7, added: 0, removed: 0, leftOut: 0 });
  });

  testHere(
    'a later import removes what the source has no more, and nothing that callers attached',
    async () => {
      const { secrets } = await seed();
      await target.run(source.url);
      const [a, , c] = secrets.map(String);
      await target.knex('secret_references').insert({ secret_id: a, kind: 'job', consumer: 'nightly' });
      // A caller attached what the import had brought.
      await target
        .knex('secret_references')
        .where({ kind: 'provider.api_key' })
        .update({ is_attached: true });
      await source.run(`
      DELETE FROM provider_provider;
      DELETE FROM llm_client_llmclientapikey;
      DELETE FROM plugin_sqlconnection WHERE id = 8;
      UPDATE plugin_sqlconnection SET password_id = NULL;
      UPDATE plugin_apiconnection SET proxy_password_id = NULL, name = 'storms' WHERE id = 1`);

      const report = await target.run(source.url);
      expect(await references()).toEqual(
        [
          `${a} api_connection.api_key storms (1)`,
          `${a} job nightly`,
          `${c} provider.api_key openai (3)`,
          `${a} sql_connection.proxy_password orders (7)`,
        ].sort(),
      );
      expect(report.references).toEqual({ read: 2, added: 1, removed: 6, leftOut: 0 });
      expect((await target.run(source.url)).references).toMatchObject({ added: 0, removed: 0 });
    },
  );

  testHere('a dry run writes none, and those of what was deleted here are left out', async () => {
    const { secrets } = await seed();
    const dry = await target.run(source.url, { dryRun: true });
    expect(dry.references).toEqual({ read: 7, added: 7, removed: 0, leftOut: 0 });
    expect(await references()).toEqual([]);
    await target.run(source.url);
    await target
      .knex('secrets')
      .where({ id: secrets[2] })
      .update({ deleted_at: target.knex.fn.now(), purge_at: target.knex.fn.now() });
    const report = await target.run(source.url);
    expect(report.references).toMatchObject({ read: 7, added: 0, leftOut: 1 });
  });
});
