import type { Knex } from 'knex';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { AuditLog } from '../../../src/audit/audit-log.js';
import { openDatabase } from '../../../src/db/knex.js';
import { anEntry } from '../../support/audit-records.js';
import { testAuditLog, verify } from '../../support/audit.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { execute } from '../../support/sql.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';

let database: TestDatabase;
let proxy: TcpProxy;
let knex: Knex;
/** The log's own way to the database, which tests cut. */
const POOL_SIZE = 8;

let behindProxy: Knex;
let log: AuditLog;

beforeAll(async () => {
  database = await createTestDatabase();
  proxy = await startTcpProxy(database.url);
  const options = { poolSize: POOL_SIZE, connectTimeoutMs: 10_000, statementTimeoutMs: 20_000 };
  knex = openDatabase({ url: database.url, ...options });
  behindProxy = openDatabase({ url: proxy.url, ...options });
});

afterAll(async () => {
  await knex.destroy();
  await behindProxy.destroy();
  await proxy.close();
  await database.drop();
});

beforeEach(async () => {
  await sql('TRUNCATE audit_events, audit_chains RESTART IDENTITY');
  log = testAuditLog(behindProxy);
});

function sql(statement: string): Promise<Record<string, unknown>[]> {
  return execute(database.url, statement);
}

async function chains(): Promise<[purpose: unknown, seq: unknown][]> {
  const rows = await sql('SELECT purpose, seq FROM audit_chains ORDER BY started_at, chain');
  return rows.map(({ purpose, seq }) => [purpose, seq]);
}

const appendMany = (count: number) =>
  Promise.allSettled(Array.from({ length: count }, () => log.append(anEntry())));

describe('records of changes', () => {
  test('are there if the change is, and are not if it is rolled back', async () => {
    await behindProxy.transaction((trx) => log.record(trx, [anEntry(), anEntry()]));
    const rolledBack = behindProxy.transaction(async (trx) => {
      await log.record(trx, [anEntry()]);
      throw new Error('no');
    });
    await expect(rolledBack).rejects.toThrow('no');
    await behindProxy.transaction((trx) => log.record(trx, [anEntry()]));
    expect(await chains()).toEqual([['CHANGES', '3']]);
    expect(await verify(knex)).toMatchObject({ isIntact: true, records: 3n });
  });

  test('of a first change that is rolled back leave no chain', async () => {
    const rolledBack = behindProxy.transaction(async (trx) => {
      await log.record(trx, [anEntry()]);
      throw new Error('no');
    });
    await expect(rolledBack).rejects.toThrow('no');
    expect(await chains()).toEqual([]);
  });

  test('that are none touch nothing', async () => {
    await behindProxy.transaction((trx) => log.record(trx, []));
    expect(await chains()).toEqual([]);
  });

  test('of many processes at once, some rolled back, are chains without a gap', async () => {
    const logs = [log, testAuditLog(behindProxy)];
    const changes = Array.from({ length: 60 }, (_, index) =>
      behindProxy.transaction(async (trx) => {
        await logs[index % 2]?.record(trx, [anEntry()]);
        if (index % 3 === 0) throw new Error('no');
      }),
    );
    await Promise.allSettled(changes);
    const heads = await chains();
    expect(heads.length).toBeLessThanOrEqual(logs.length * POOL_SIZE);
    expect(heads.reduce((sum, [, seq]) => sum + Number(seq), 0)).toBe(40);
    expect(await verify(knex)).toMatchObject({ isIntact: true, records: 40n });
  });
});

describe('appended records', () => {
  test('are durable when append returns, each once, in one chain', async () => {
    await Promise.all(
      Array.from({ length: 300 }, async (_, index) => {
        await log.append(anEntry({ detail: { index: String(index) } }));
        const found = await knex('audit_events').whereRaw("detail->>'index' = ?", [String(index)]);
        expect(found).toHaveLength(1);
      }),
    );
    expect(await chains()).toEqual([['APPENDED', '300']]);
    expect(await verify(knex)).toMatchObject({ isIntact: true, records: 300n });
  });

  test('hold what they were given, to the microsecond', async () => {
    await log.append(anEntry());
    const [row] = await sql('SELECT * FROM audit_events');
    expect(row).toMatchObject({
      action: 'TOKEN_EDITED',
      outcome: 'OK',
      actor_key_id: '11111111-1111-4111-8111-111111111111',
      actor_user_id: '7',
      actor_username: 'someone',
      actor_account_number: '1111-1111-1111',
      actor_peer: '127.0.0.1:1234',
      actor_certificate: 'CN=someone sha256=00',
      request_id: '22222222-2222-4222-8222-222222222222',
      resource_kind: 'token',
      resource_id: '8',
      resource_profile_id: '9',
      resource_account_id: '10',
      resource_account_number: '2222-2222-2222',
      detail: { fields: 'description' },
    });
  });

  test('are refused while the database is away, and go on afterwards', async () => {
    await log.append(anEntry());
    proxy.cut();
    await expect(log.append(anEntry())).rejects.toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
    await expect(log.append(anEntry())).rejects.toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
    proxy.mend();
    await log.append(anEntry());
    await log.append(anEntry());
    expect(await verify(knex)).toMatchObject({ isIntact: true, records: 3n });
  });

  /** whileBlocked runs something once an append waits for the table, which it then gets. */
  async function whileBlocked(meanwhile: () => unknown): Promise<PromiseSettledResult<void>[]> {
    const lock = await knex.transaction();
    await lock.raw('LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE');
    const appended = appendMany(3);
    await vi.waitFor(
      async () => {
        const waiting = await knex('pg_stat_activity').whereRaw(
          "datname = current_database() AND wait_event_type = 'Lock'",
        );
        expect(waiting).toHaveLength(1);
      },
      { timeout: 10_000 },
    );
    await meanwhile();
    const results = await appended;
    await lock.rollback();
    return results;
  }

  const REFUSED = expect.objectContaining({
    status: 'rejected',
    reason: expect.objectContaining({ reason: 'DATABASE_UNAVAILABLE' }) as unknown,
  }) as unknown;

  test('whose connection is ended on the way fail, and the log goes on and verifies', async () => {
    await appendMany(2);
    const results = await whileBlocked(() =>
      sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      ),
    );
    expect(results).toEqual([REFUSED, REFUSED, REFUSED]);
    // The pool may not have noticed yet that one of its connections is gone.
    await vi.waitFor(async () => expect(await appendMany(2)).not.toContainEqual(REFUSED));
    expect((await chains()).map(([, seq]) => seq)).toEqual(['2', '2']);
    expect(await verify(knex)).toMatchObject({ isIntact: true, records: 4n });
  });

  test('that were written although the answer was lost are kept, and the log goes on and verifies', async () => {
    await appendMany(2);
    const results = await whileBlocked(() => {
      proxy.cut();
    });
    expect(results).toEqual([REFUSED, REFUSED, REFUSED]);
    proxy.mend();
    await vi.waitFor(async () => {
      expect(await chains()).toEqual([['APPENDED', '5']]);
    });
    await appendMany(2);
    expect((await chains()).map(([, seq]) => seq).sort()).toEqual(['2', '5']);
    expect(await verify(knex)).toMatchObject({ isIntact: true, records: 7n });
  });
});

test('numbers rise in the order in which a process records, be it changes or appended records', async () => {
  for (let count = 0; count < 20; count += 1) {
    const detail = { count: String(count) };
    if (count % 3 === 0) await behindProxy.transaction((trx) => log.record(trx, [anEntry({ detail })]));
    else await log.append(anEntry({ detail }));
  }
  const rows = await sql("SELECT (detail->>'count')::int AS count FROM audit_events ORDER BY id");
  expect(rows.map(({ count }) => count)).toEqual(Array.from({ length: 20 }, (_, count) => count));
});

test('a text that the database cannot keep does not keep others from being written', async () => {
  const odd = anEntry({ detail: { 'a\0': 'b\ud800' } });
  await Promise.all([log.append(anEntry()), log.append(odd), log.append(anEntry())]);
  expect(await verify(knex)).toMatchObject({ isIntact: true, records: 3n });
});
