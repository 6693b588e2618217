import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openDatabase } from '../../../src/db/knex.js';
import { ListenSession } from '../../../src/db/listen-session.js';
import { migrate } from '../../../src/db/migrate.js';
import { prepare } from '../../../src/db/prepared.js';
import { inTransaction, reading } from '../../../src/db/transaction.js';
import { createEmptyDatabase } from '../../support/database.js';
import {
  hasPgBouncer,
  knowsPreparedStatements,
  startPgBouncer,
  type PgBouncer,
} from '../../support/pgbouncer.js';
import { byId, requestFor } from '../../support/requests.js';
import { METHOD_NAMES, Peer } from '../../support/rpc.js';
import { startTestServer, type TestServer, type TestServerOptions } from '../../support/server.js';
import { execute, withDatabaseName } from '../../support/sql.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { World } from '../../support/world.js';

/** Codes of a call that the service could not do, rather than would not. */
const FAILED = ['INTERNAL', 'UNKNOWN', 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'DATA_LOSS'];

describe.skipIf(!hasPgBouncer())(
  'behind PgBouncer in transaction mode (skipped where it is not installed)',
  () => {
    let world: World;
    let proxy: TcpProxy;
    let pooler: PgBouncer;
    let server: TestServer;
    let admin: Peer;

    beforeAll(async () => {
      world = await World.create();
      // PgBouncer cannot enter the directory of the database's socket.
      proxy = await startTcpProxy(world.database.url);
      pooler = await startPgBouncer(proxy.url, 'transaction');
    });

    afterAll(async () => {
      await pooler.stop();
      await proxy.close();
      await world.close();
    });

    async function start(env: TestServerOptions['env']): Promise<void> {
      server = await startTestServer({
        databaseUrl: pooler.url,
        clock: world.clock,
        env: { DATABASE_URL: pooler.url, ...env },
      });
      admin = new Peer(server.address, { token: world.adminToken });
    }

    beforeEach(() => async () => {
      admin.close();
      await server.stop();
    });

    test('every method works, many calls at once too, though prepared statements do not', async () => {
      await start({ DATABASE_LISTEN_URL: proxy.url });
      for (const method of METHOD_NAMES) {
        const { code, message } = await admin.call(method, await requestFor(method, world));
        expect(FAILED, `${method}: ${code} ${message}`).not.toContain(code);
      }
      const token = await world.issue('owner-a');
      const secret = await world.keep('owner-a');
      const outcomes = await Promise.all(
        Array.from({ length: 120 }, (_, index) => [
          admin.call('validateToken', { token: `${index}${token.plaintext}` }),
          admin.call('accessSecret', { secret: byId(secret) }),
          admin.call('updateToken', {
            selector: byId(token),
            token: { description: `${index}` },
            updateMask: ['description'],
          }),
        ]).flat(),
      );
      expect(new Set(outcomes.map(({ code }) => code).filter((code) => FAILED.includes(code)))).toEqual(
        new Set(),
      );
      expect(await server.metric('keyward_coherence_lease_held')).toBe(1);
      // Nothing of this process is left in sessions that others get.
      const left = await execute(
        pooler.url,
        "SELECT current_setting('statement_timeout') || current_setting('lock_timeout') AS limits",
      );
      expect(left).toEqual([{ limits: '00' }]);
    });

    test('a pooler on the way to notifications is recognised, said in one line, and the service works without memory', async () => {
      await start({});
      const line = () =>
        server
          .log()
          .split('\n')
          .find((each) => each.includes('let DATABASE_LISTEN_URL lead to'));
      await expect.poll(line, { timeout: 15_000 }).toContain('a pooler gives the session that listens');
      const token = await world.issue('owner-a');
      for (const valid of [true, false]) {
        if (!valid) await world.admin.tokens.deactivateToken({ selector: byId(token) });
        const client = world.client(world.adminToken, server);
        expect((await client.tokens.validateToken({ token: token.plaintext })).valid).toBe(valid);
      }
      expect(await server.metric('keyward_coherence_lease_held')).toBe(0);
    });
  },
);

describe.skipIf(!hasPgBouncer())('a pooler', () => {
  let world: World;
  let proxy: TcpProxy;

  beforeAll(async () => {
    world = await World.create();
    proxy = await startTcpProxy(world.database.url);
  });

  afterAll(async () => {
    await proxy.close();
    await world.close();
  });

  test('that gives each client a session of its own may stand before the listener', async () => {
    const pooler = await startPgBouncer(proxy.url, 'session');
    try {
      const ignore = () => undefined;
      const session = await ListenSession.open({
        url: pooler.url,
        timeoutMs: 5_000,
        onNotification: ignore,
        onLost: ignore,
      });
      session.close();
    } finally {
      await pooler.stop();
    }
  });

  test('does not keep limits from holding, nor statements going on in the database', async () => {
    const pooler = await startPgBouncer(proxy.url, 'transaction');
    const knex = openDatabase({
      url: pooler.url,
      poolSize: 4,
      connectTimeoutMs: 5_000,
      statementTimeoutMs: 1_000,
    });
    const unavailable = { reason: 'DATABASE_UNAVAILABLE' };
    try {
      await expect(reading(() => knex.raw('SELECT pg_sleep(60)'))).rejects.toMatchObject(unavailable);
      await expect(inTransaction(knex, (trx) => trx.raw('SELECT pg_sleep(60)'))).rejects.toMatchObject(
        unavailable,
      );
      const sleeping = async () => {
        const sql = `SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'
          AND datname = current_database()`;
        return (await execute(world.database.url, sql)).length;
      };
      await expect.poll(sleeping, { timeout: 10_000 }).toBe(0);
      const one = prepare<{ n: number }>(knex, 'one', 'SELECT $1::int AS n');
      const numbers = Array.from({ length: 50 }, (_, index) => index);
      expect((await Promise.all(numbers.map((n) => one([n])))).flat()).toEqual(numbers.map((n) => ({ n })));
    } finally {
      await knex.destroy();
      await pooler.stop();
    }
  });

  test.runIf(hasPgBouncer() && knowsPreparedStatements())(
    'that carries prepared statements has them used, and those that are stale heal (from PgBouncer 1.21 on)',
    async () => {
      const pooler = await startPgBouncer(proxy.url, 'transaction', {
        max_prepared_statements: 100,
        default_pool_size: 1,
      });
      const knex = openDatabase({ url: pooler.url, poolSize: 4, connectTimeoutMs: 5_000 });
      try {
        await execute(world.database.url, "CREATE TABLE healing AS SELECT 'kept'::varchar(9) AS value");
        const all = prepare<{ value: string }>(knex, 'healing', 'SELECT * FROM healing WHERE $1::int = 1');
        const kept = Array.from({ length: 20 }, () => ({ value: 'kept' }));
        const asked = async () => (await Promise.all(kept.map(() => all([1])))).flat();
        expect(await asked()).toEqual(kept);
        const prepared =
          "SELECT count(*)::int AS count FROM pg_prepared_statements WHERE statement ~ 'healing'";
        // Those of the one session that the pooler has are its own.
        expect(await execute(pooler.url, `${prepared} AND name LIKE 'PGBOUNCER%'`)).toEqual([{ count: 1 }]);
        await execute(world.database.url, 'ALTER TABLE healing ALTER value TYPE text');
        expect(await asked()).toEqual(kept);
      } finally {
        await knex.destroy();
        await pooler.stop();
      }
    },
  );

  test('may stand before migrations', async () => {
    const empty = await createEmptyDatabase();
    const pooler = await startPgBouncer(proxy.url, 'transaction');
    try {
      const name = new URL(empty.url).pathname.slice(1);
      expect((await migrate(withDatabaseName(pooler.url, name))).applied).toContain('0001-tokens');
    } finally {
      await pooler.stop();
      await empty.drop();
    }
  });
});
