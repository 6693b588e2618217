import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { runKeyward } from '../../support/keyward-command.js';
import { TEST_KEY } from '../../support/keyring.js';
import { MUTUAL_TLS, type TestServer } from '../../support/server.js';
import { execute, withDatabaseName } from '../../support/sql.js';
import { World } from '../../support/world.js';

const MAIN = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
const { KEYWARD_TLS_CERT, KEYWARD_TLS_KEY } = MUTUAL_TLS;

vi.setConfig({ testTimeout: 60_000 });

let world: World;
let tlsServer: TestServer;
let mutualServer: TestServer;
let directory: string;

beforeAll(async () => {
  world = await World.create();
  tlsServer = await world.startServer({ KEYWARD_TLS_CERT, KEYWARD_TLS_KEY });
  mutualServer = await world.startServer(MUTUAL_TLS);
  directory = await mkdtemp(join(tmpdir(), 'keyward-messages-'));
});

afterAll(async () => {
  await world.close();
  await rm(directory, { recursive: true });
});

/** failureOf is the one line that a command ends with. */
async function failureOf(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const own = {
    DATABASE_URL: undefined,
    KEYWARD_DATA_DIR: directory,
    KEYWARD_TOKEN: undefined,
    KEYWARD_LOG_LEVEL: 'error',
  };
  const { code, stdout, stderr } = await runKeyward(args, { env: { ...own, ...env } });
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^keyward: [^\n]+\n$/);
  return stderr;
}

test('a Node that is too old is told so before anything is imported', async () => {
  expect(await readFile(MAIN, 'utf8')).not.toMatch(/^\s*import\s+[^(]/m);
  const older = join(directory, 'older.cjs');
  const versions = "{ value: { ...process.versions, node: '18.20.4' } }";
  await writeFile(older, `Object.defineProperty(process, 'versions', ${versions});`);
  await expect(
    promisify(execFile)(process.execPath, ['--require', older, MAIN, '--help']),
  ).rejects.toMatchObject({
    code: 1,
    stdout: '',
    stderr: 'keyward: Node.js 20.19 or newer is needed, and this is 18.20.4\n',
  });
});

test('a database that cannot be used is named, with its setting, and without its password', async () => {
  const env = {
    DATABASE_URL: 'postgres://keyward:canary@127.0.0.1:1/keyward',
    KEYWARD_FERNET_KEYS: TEST_KEY,
  };
  for (const command of [['migrate'], ['bootstrap'], ['audit', 'verify']]) {
    const line = await failureOf(command, env);
    expect(line).toContain(
      'DATABASE_URL: the database "keyward" at 127.0.0.1:1 cannot be used: connect ECONNREFUSED',
    );
    expect(line).not.toContain('canary');
  }
  const missing = withDatabaseName(world.database.url, 'keyward_nowhere');
  expect(await failureOf(['migrate'], { DATABASE_URL: missing })).toMatch(
    /DATABASE_URL: the database "keyward_nowhere" at [^\n]* cannot be used: database "keyward_nowhere" does not exist/,
  );
});

test('bootstrap before migrate says what comes first', async () => {
  const name = `keyward_empty_${randomBytes(6).toString('hex')}`;
  await execute(inject('databaseServerUrl'), `CREATE DATABASE ${name}`);
  const DATABASE_URL = withDatabaseName(inject('databaseServerUrl'), name);
  const line = await failureOf(['bootstrap'], { DATABASE_URL, KEYWARD_FERNET_KEYS: TEST_KEY });
  expect(line).toBe('keyward: the database has no Keyward schema; run "keyward migrate"\n');
  await execute(inject('databaseServerUrl'), `DROP DATABASE ${name} WITH (FORCE)`);
});

test('files of TLS that are missing stop the start, with the setting', async () => {
  expect(await failureOf(['serve'], { KEYWARD_TLS_CERT, KEYWARD_TLS_KEY: '/nowhere' })).toBe(
    'keyward: KEYWARD_TLS_KEY: /nowhere cannot be read: there is no such file\n',
  );
});

test('a server without a port is told so', async () => {
  expect(await failureOf(['secret', 'list', '--server', 'keyward.example.com'])).toBe(
    'keyward: the server "keyward.example.com" has no port: give <host>:<port>, for example keyward.example.com:50051\n',
  );
});

test('a client without TLS at a server that serves it, or without a certificate, is told what is missing', async () => {
  const token = { KEYWARD_TOKEN: world.adminToken };
  const plain = ['secret', 'list', '--plaintext', '--server'];
  expect(await failureOf([...plain, tlsServer.address], token)).toContain('if it serves TLS, give --tls');
  expect(await failureOf(['health', '--plaintext', '--server', tlsServer.address])).toContain('give --tls');
  const ca = ['secret', 'list', '--ca', MUTUAL_TLS.KEYWARD_TLS_CLIENT_CA, '--server', mutualServer.address];
  expect(await failureOf(ca, token)).toContain('give --cert and --key');
});

test('no token, and one that is refused, are told apart, with where it was looked for', async () => {
  const list = ['secret', 'list', '--server', world.server.address];
  const file = join(directory, 'admin-token');
  expect(await failureOf(list)).toContain(
    `no token was given, neither by --token-file nor in KEYWARD_TOKEN, and there is no ${file}`,
  );
  expect(await failureOf(list, { KEYWARD_TOKEN: 'wrong' })).toContain(
    'the token in KEYWARD_TOKEN is refused',
  );
  expect(await failureOf([...list, '--token', 'wrong'])).toContain('the token that was given is refused');
  await writeFile(file, 'expired\n', { mode: 0o600 });
  const refused = await failureOf(list);
  expect(refused).toContain(
    `the token in ${file} is refused: it is not known there, is switched off, or has expired`,
  );
  expect(refused).toContain('"keyward bootstrap --reissue" makes a new one');
  expect(refused).not.toContain("'expired'");
  await rm(file);
});
