import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openDatabase } from '../../../src/db/knex.js';
import { systemClock } from '../../../src/lib/clock.js';
import { anEntry } from '../../support/audit-records.js';
import { testAuditLog } from '../../support/audit.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { TEST_KEY } from '../../support/keyring.js';
import { runKeyward, type CommandResult } from '../../support/keyward-command.js';
import { Peer } from '../../support/rpc.js';
import { startTestServer } from '../../support/server.js';
import { execute } from '../../support/sql.js';

let directory: string;
let database: TestDatabase;
let knex: Knex;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyward-audit-'));
  database = await createTestDatabase();
  knex = openDatabase({
    url: database.url,
    poolSize: 2,
    connectTimeoutMs: 10_000,
    statementTimeoutMs: 20_000,
  });
});

afterAll(async () => {
  await knex.destroy();
  await database.drop();
  await rm(directory, { recursive: true });
});

beforeEach(async () => {
  await execute(database.url, 'TRUNCATE audit_events, audit_chains RESTART IDENTITY');
  const log = testAuditLog(knex);
  for (let count = 0; count < 3; count += 1) await log.append(anEntry());
});

function verify(args: readonly string[] = [], key = TEST_KEY): Promise<CommandResult> {
  const env = { DATABASE_URL: database.url, KEYWARD_FERNET_KEYS: key };
  return runKeyward(['audit', 'verify', ...args], { env });
}

test('an intact log is told, with what is vouched for', async () => {
  const { code, stdout } = await verify();
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Checked 3 records in 1 chains\./);
  expect(stdout).toMatch(/APPENDED .* 3 records, vouched for: records 1 to 3\n$/);
  const { code: jsonCode, stdout: json } = await verify(['--json']);
  expect(jsonCode).toBe(0);
  expect(JSON.parse(json)).toMatchObject({
    intact: true,
    records: '3',
    chains: [{ purpose: 'APPENDED', records: '3', vouchedFrom: '1', vouchedTo: '3', faults: 0 }],
    faults: [],
    faultsLeftOff: 0,
  });
});

test('what is wrong is told with its chain, place and number, in one line each, and ends with exit code 1', async () => {
  await execute(database.url, "UPDATE audit_events SET outcome = 'x' WHERE seq = 2");
  const { code, stdout, stderr } = await verify();
  expect(code).toBe(1);
  expect(stdout).toMatch(/\nchanged: chain [0-9a-f-]{36}, record 2 \(id 2\)\n$/);
  expect(stderr).toBe('keyward: the audit log is not proved to be as it was written\n');
  const { code: jsonCode, stdout: json } = await verify(['--json']);
  expect(jsonCode).toBe(1);
  expect(JSON.parse(json)).toMatchObject({
    intact: false,
    faults: [{ kind: 'CHANGED', seq: '2', lastSeq: '2', id: '2' }],
  });
});

test('a chain of a key that is not configured is told, and ends with exit code 1', async () => {
  const { code, stdout } = await verify([], Buffer.alloc(32, 7).toString('base64url') + '=');
  expect(code).toBe(1);
  expect(stdout).toContain("the chain's key is not among the configured keys");
});

test('saved heads tell what was cut off since, and are not saved of a log that is not intact', async () => {
  const heads = join(directory, 'heads.json');
  expect((await verify(['--save-heads', heads])).code).toBe(0);
  await execute(database.url, 'DELETE FROM audit_events WHERE seq = 3');
  await execute(
    database.url,
    'UPDATE audit_chains SET seq = 2, mac = (SELECT mac FROM audit_events WHERE seq = 2)',
  );
  expect((await verify()).code).toBe(0);
  const before = await readFile(heads, 'utf8');
  const { code, stdout } = await verify(['--heads', heads, '--save-heads', heads]);
  expect(code).toBe(1);
  expect(stdout).toMatch(/\nremoved: chain [0-9a-f-]{36}, record 3\n$/);
  expect(await readFile(heads, 'utf8')).toBe(before);
});

test('a log that only grew since the heads were saved is intact', async () => {
  const heads = join(directory, 'grown.json');
  await verify(['--save-heads', heads]);
  await testAuditLog(knex).append(anEntry());
  expect((await verify(['--heads', heads, '--save-heads', heads])).code).toBe(0);
  const { heads: saved } = JSON.parse(await readFile(heads, 'utf8')) as { heads: unknown[] };
  expect(saved).toHaveLength(2);
});

test('a file that holds no heads is refused', async () => {
  const file = join(directory, 'other.json');
  await writeFile(file, '{"heads": [1]}');
  const { code, stderr } = await verify(['--heads', file]);
  expect([code, stderr]).toEqual([1, `keyward: ${file}, line 1: no heads of the audit log\n`]);
});

test('a tail that is cut while no service runs shows in the heads that the service wrote when it stopped', async () => {
  const heads = join(directory, 'written.jsonl');
  const server = await startTestServer({
    databaseUrl: database.url,
    clock: systemClock,
    env: { KEYWARD_AUDIT_HEADS_FILE: heads },
  });
  const peer = new Peer(server.address);
  await peer.call('listTokens', {});
  peer.close();
  await server.stop();
  expect((await verify(['--heads', heads])).code).toBe(0);
  const [cut] = await execute(
    database.url,
    "DELETE FROM audit_events WHERE action = 'AUTHENTICATION_FAILED' RETURNING chain",
  );
  await execute(database.url, 'DELETE FROM audit_chains WHERE chain = $1', [cut?.['chain']]);
  expect((await verify()).code).toBe(0);
  const { code, stdout } = await verify(['--heads', heads]);
  expect(code).toBe(1);
  expect(stdout).toContain(`removed: chain ${String(cut?.['chain'])}, record 1\n`);
  expect((await stat(heads)).mode & 0o777).toBe(0o600);
});

test('a service whose file of heads cannot be written does not start', async () => {
  const env = { KEYWARD_AUDIT_HEADS_FILE: join(directory, 'missing', 'heads') };
  await expect(startTestServer({ databaseUrl: database.url, clock: systemClock, env })).rejects.toThrow(
    /KEYWARD_AUDIT_HEADS_FILE cannot be written/,
  );
});
