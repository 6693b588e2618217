import { afterAll, beforeAll, expect, test } from 'vitest';
import { ListenSession } from '../../../src/db/listen-session.js';
import { openDatabase } from '../../../src/db/knex.js';
import { migrate } from '../../../src/db/migrate.js';
import { inTransaction } from '../../../src/db/transaction.js';
import { createEmptyDatabase } from '../../support/database.js';
import { createImportTarget } from '../../support/import-target.js';
import { byId, requestFor } from '../../support/requests.js';
import { METHOD_NAMES, Peer } from '../../support/rpc.js';
import type { TestServer } from '../../support/server.js';
import { createSmarterDatabase } from '../../support/smarter-source.js';
import { execute } from '../../support/sql.js';
import { World } from '../../support/world.js';

/** Settings that a role, a database or its owner may have, each other than what this program would like. */
const HOSTILE = {
  DateStyle: "'German, DMY'",
  IntervalStyle: "'sql_standard'",
  TimeZone: "'Asia/Kathmandu'",
  array_nulls: 'off',
  bytea_output: "'escape'",
  standard_conforming_strings: 'off',
  client_encoding: "'LATIN1'",
  extra_float_digits: '-15',
  transform_null_equals: 'on',
  quote_all_identifiers: 'on',
  default_transaction_isolation: "'serializable'",
  default_transaction_deferrable: 'on',
  synchronous_commit: 'off',
  lock_timeout: "'1ms'",
  idle_in_transaction_session_timeout: "'1s'",
  idle_session_timeout: "'60s'",
  statement_timeout: "'10s'",
  search_path: 'nowhere, public',
  plan_cache_mode: "'force_generic_plan'",
  client_min_messages: "'debug1'",
  default_tablespace: "''",
  row_security: 'off',
  xmloption: "'document'",
};

/** Codes of a call that the service could not do, rather than would not. */
const FAILED = ['INTERNAL', 'UNKNOWN', 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'DATA_LOSS'];

let world: World;
let server: TestServer;
let admin: Peer;

beforeAll(async () => {
  world = await World.create();
  await setAll(world.database.url, HOSTILE);
  server = await world.startServer();
  admin = new Peer(server.address, { token: world.adminToken });
});

afterAll(async () => {
  admin.close();
  await world.close();
});

/** setAll makes settings those of the role in this database, which go before those of either. */
async function setAll(url: string, settings: Readonly<Record<string, string>>): Promise<void> {
  const { username, pathname } = new URL(url);
  for (const [name, value] of Object.entries(settings)) {
    await execute(url, `ALTER ROLE ${username} IN DATABASE ${pathname.slice(1)} SET ${name} = ${value}`);
  }
}

test('every method works in sessions with settings of somebody else, and with the same result', async () => {
  for (const method of METHOD_NAMES) {
    const { code, message } = await admin.call(method, await requestFor(method, world));
    expect(FAILED, `${method}: ${code} ${message}`).not.toContain(code);
  }
  const value = 'ein Wert mit \\ und \u00e4 und "NULL"';
  const secret = await world.keep('owner-a', { payload: { value: { $case: 'text', value } } });
  const token = await world.issue('owner-a', {
    expiry: { $case: 'ttl', value: { seconds: 3_600n, nanos: 0 } },
  });
  for (const client of [world.admin, world.client(world.adminToken, server)]) {
    const { payload } = await client.secrets.accessSecret({ secret: byId(secret) });
    expect(payload?.value).toEqual({ $case: 'text', value });
    expect(await client.tokens.getToken({ token: byId(token) })).toEqual(
      await world.admin.tokens.getToken({ token: byId(token) }),
    );
  }
});

test('changes are followed there, and what they say is complete is so', async () => {
  const client = world.client(world.adminToken, server);
  await expect.poll(() => server.metric('keyward_coherence_lease_held'), { timeout: 10_000 }).toBe(1);
  const token = await world.issue('owner-a');
  expect((await client.tokens.validateToken({ token: token.plaintext })).valid).toBe(true);
  const { propagation } = await world.admin.tokens.deactivateToken({ selector: byId(token) });
  expect(propagation?.complete).toBe(true);
  expect((await client.tokens.validateToken({ token: token.plaintext })).valid).toBe(false);
});

test('transactions and records have settings of their own: isolation, limits, and to be written before they count', async () => {
  const { url } = world.database;
  await execute(url, 'CREATE TABLE seen (what text, setting text)');
  for (const table of ['tokens', 'audit_events']) {
    await execute(
      url,
      `CREATE FUNCTION see_${table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         INSERT INTO seen VALUES ('${table}', current_setting('synchronous_commit')); RETURN NULL; END $$`,
    );
    await execute(
      url,
      `CREATE CONSTRAINT TRIGGER see_${table} AFTER INSERT ON ${table} DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION see_${table}()`,
    );
  }
  const secret = await world.keep('owner-a');
  expect(await admin.call('accessSecret', { secret: byId(secret) })).toMatchObject({ code: 'OK' });
  expect(await admin.call('createToken', { name: world.newName() })).toMatchObject({ code: 'OK' });
  expect(await execute(url, 'SELECT DISTINCT what, setting FROM seen ORDER BY what')).toEqual([
    { what: 'audit_events', setting: 'on' },
    { what: 'tokens', setting: 'on' },
  ]);
  const knex = openDatabase({ url, poolSize: 1, connectTimeoutMs: 5_000, statementTimeoutMs: 10_000 });
  try {
    const names = ['transaction_isolation', 'statement_timeout', 'lock_timeout', 'transaction_read_only'];
    const settings = await inTransaction(knex, async (trx) => {
      const sql = 'SELECT current_setting(name) AS setting FROM unnest(?::text[]) AS name';
      const { rows } = await trx.raw<{ rows: { setting: string }[] }>(sql, [names]);
      return rows.map(({ setting }) => setting);
    });
    expect(settings).toEqual(['read committed', '9s', '9s', 'off']);
  } finally {
    await knex.destroy();
  }
});

test('the session that listens has its own, too', async () => {
  const ignore = () => undefined;
  const session = await ListenSession.open({
    url: world.database.url,
    timeoutMs: 5_000,
    onNotification: ignore,
    onLost: ignore,
  });
  const sql = `SELECT current_setting('idle_session_timeout') AS idle, current_setting('synchronous_commit') AS commit,
    current_setting('transaction_isolation') AS isolation, current_setting('lock_timeout') AS lock`;
  expect(await session.query(sql)).toEqual([
    { idle: '0', commit: 'on', isolation: 'read committed', lock: '5s' },
  ]);
  session.close();
});

test('migrations run there', async () => {
  const empty = await createEmptyDatabase();
  try {
    await setAll(empty.url, HOSTILE);
    expect((await migrate(empty.url)).applied).toContain('0007-audit-accounts');
  } finally {
    await empty.drop();
  }
});

test('an import takes everything there, from a source with such settings too', async () => {
  const [source, target] = await Promise.all([createSmarterDatabase(), createImportTarget()]);
  try {
    await setAll(source.url, { ...HOSTILE, default_transaction_read_only: 'on' });
    await setAll(target.url, HOSTILE);
    await target.run(source.url, { batchSize: 50 });
    await target.expectEverythingTaken();
  } finally {
    await target.drop();
    await source.drop();
  }
});

test('a role whose sessions may only read is told of, in one line', async () => {
  await setAll(world.database.url, { default_transaction_read_only: 'on' });
  const readOnly = await world.startServer();
  expect(readOnly.log()).toContain('default_transaction_read_only');
});
