import type { Knex } from 'knex';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { AuditLog } from '../../../src/audit/audit-log.js';
import { ChainRepository } from '../../../src/audit/chain-repository.js';
import type { Tampering } from '../../../src/audit/tampering.js';
import { openDatabase } from '../../../src/db/knex.js';
import { systemClock } from '../../../src/lib/clock.js';
import { anEntry } from '../../support/audit-records.js';
import { testKeyring, verify } from '../../support/audit.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { execute } from '../../support/sql.js';

let database: TestDatabase;
let knex: Knex;
let log: AuditLog;
/** noticed is what the log told of. */
let noticed: Tampering[];

beforeAll(async () => {
  database = await createTestDatabase();
  const options = { poolSize: 12, connectTimeoutMs: 20_000, statementTimeoutMs: 30_000 };
  knex = openDatabase({ url: database.url, ...options });
});

afterAll(async () => {
  await knex.destroy();
  await database.drop();
});

beforeEach(async () => {
  await sql('TRUNCATE audit_events, audit_chains RESTART IDENTITY');
  noticed = [];
  log = new AuditLog({
    chains: new ChainRepository(knex),
    keys: testKeyring(),
    clock: systemClock,
    onTampering: (tampering) => noticed.push(tampering),
  });
});

function sql(statement: string): Promise<Record<string, unknown>[]> {
  return execute(database.url, statement);
}

const change = (): Promise<void> => knex.transaction((trx) => log.record(trx, [anEntry()]));
const append = (): Promise<void> => log.append(anEntry());

const DELETE_LAST = 'DELETE FROM audit_events WHERE seq = 3';
const SET_BACK = 'UPDATE audit_chains SET seq = 2, mac = (SELECT mac FROM audit_events WHERE seq = 2)';

/** What somebody might do to a chain of three records, and what is then found. */
const TAMPERINGS: readonly [what: string, statements: readonly string[], found: string][] = [
  ['the last record is deleted', [DELETE_LAST], 'RECORD_MISSING'],
  ['the last record is deleted and the row set back', [DELETE_LAST, SET_BACK], 'HEAD_CHANGED'],
  ['the row is set back', [SET_BACK], 'HEAD_CHANGED'],
  ['the row is set forward', ['UPDATE audit_chains SET seq = 7'], 'HEAD_CHANGED'],
  [
    "the row's MAC is changed",
    ["UPDATE audit_chains SET mac = decode(repeat('00', 32), 'hex')"],
    'HEAD_CHANGED',
  ],
  ['the row is deleted', ['DELETE FROM audit_chains'], 'CHAIN_MISSING'],
  ['everything is deleted', ['DELETE FROM audit_events', 'DELETE FROM audit_chains'], 'CHAIN_MISSING'],
  ['all records are deleted', ['DELETE FROM audit_events'], 'RECORD_MISSING'],
  [
    "the last record's MAC is changed",
    ["UPDATE audit_events SET mac = decode(repeat('00', 32), 'hex') WHERE seq = 3"],
    'RECORD_CHANGED',
  ],
  [
    'a record is written behind the last one',
    [
      `INSERT INTO audit_events (occurred_at, chain, seq, mac, action, outcome, actor_username, actor_peer, resource_kind, detail)
       SELECT occurred_at, chain, 4, mac, action, outcome, '', '', '', '{}' FROM audit_events WHERE seq = 3`,
    ],
    'RECORD_INSERTED',
  ],
];

describe.each([
  ['CHANGES', change],
  ['APPENDED', append],
] as const)('the next record of the chain %s', (purpose, write) => {
  test.each(TAMPERINGS)('tells that %s, and is written all the same', async (_, statements, found) => {
    for (let seq = 1; seq <= 3; seq += 1) await write();
    const [last] = await sql('SELECT chain, seq, mac FROM audit_events WHERE seq = 3');
    for (const statement of statements) await sql(statement);
    await write();
    const mac = (last?.['mac'] as Buffer).toString('hex');
    const chain = last?.['chain'] as string;
    const written = await sql(
      `SELECT action, detail FROM audit_events WHERE chain <> '${chain}' ORDER BY id`,
    );
    expect(written).toEqual([
      { action: 'AUDIT_TAMPERED', detail: { chain, purpose, sequence: '3', mac, found } },
      { action: 'TOKEN_EDITED', detail: { fields: 'description' } },
    ]);
    expect(noticed).toMatchObject([{ chain, purpose, found, head: { seq: 3n } }]);
    // It is told once, and the new chain goes on.
    await write();
    await write();
    expect(noticed).toHaveLength(1);
    const report = await verify(knex);
    const faulty = report.chains.filter((each) => each.faults > 0).map((each) => each.chain);
    expect(faulty.filter((each) => each !== chain)).toEqual([]);
    expect(report.chains.find((each) => each.chain !== chain)).toMatchObject({ records: 4n, faults: 0 });
  });
});

test('a change that is rolled back takes the record of tampering with it, and the next change writes it', async () => {
  await change();
  await sql('DELETE FROM audit_events');
  const rolledBack = knex.transaction(async (trx) => {
    await log.record(trx, [anEntry()]);
    throw new Error('no');
  });
  await expect(rolledBack).rejects.toThrow('no');
  expect(await sql('SELECT 1 FROM audit_events')).toEqual([]);
  await change();
  const actions = await sql('SELECT action FROM audit_events ORDER BY id');
  expect(actions.map(({ action }) => action)).toEqual(['AUDIT_TAMPERED', 'TOKEN_EDITED']);
});

test('of many changes and accesses at once after a cut each is written, and each chain tells of it once', async () => {
  await change();
  await append();
  await sql('DELETE FROM audit_events');
  await Promise.all(Array.from({ length: 40 }, () => Promise.all([change(), append()])));
  expect(noticed.map(({ purpose }) => purpose).sort()).toEqual(['APPENDED', 'CHANGES']);
  const [counts] = await sql(
    `SELECT count(*) FILTER (WHERE action = 'AUDIT_TAMPERED') AS told, count(*) AS all FROM audit_events`,
  );
  expect(counts).toEqual({ told: '2', all: '82' });
});

test('changes, roll-backs and connections that are killed, all at once, are never taken for tampering', async () => {
  const killer = openDatabase({
    url: database.url,
    poolSize: 1,
    connectTimeoutMs: 20_000,
  });
  const over = new AbortController();
  const killing = (async () => {
    while (!over.signal.aborted) {
      await killer.raw(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.1`,
      );
      await killer.raw('SELECT pg_sleep(0.005)');
    }
  })();
  const outcomes = { committed: 0, failed: 0 };
  const writer = async (number: number): Promise<void> => {
    for (let round = 0; round < 40; round += 1) {
      const work = (number + round) % 3;
      await (
        work === 2
          ? append()
          : knex.transaction(async (trx) => {
              await log.record(trx, [anEntry()]);
              if (work === 1) throw new Error('no');
            })
      ).then(
        () => (outcomes.committed += 1),
        () => (outcomes.failed += 1),
      );
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, number) => writer(number)));
  over.abort();
  await killing;
  await killer.destroy();
  await vi.waitFor(change, { timeout: 10_000 });
  expect(noticed).toEqual([]);
  expect(outcomes.committed).toBeGreaterThan(50);
  expect(await verify(knex)).toMatchObject({ isIntact: true });
}, 600_000);
