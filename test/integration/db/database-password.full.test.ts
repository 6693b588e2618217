import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { readConfig } from '../../../src/cli/read-config.js';
import { ConfigError } from '../../../src/config.js';
import { registerCanary } from '../../support/canaries.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { keyward, runKeyward, serve } from '../../support/keyward-command.js';
import { TEST_KEY } from '../../support/keyring.js';
import { execute } from '../../support/sql.js';
import { existing } from '../../support/world.js';

// Every command is a process that starts.
vi.setConfig({ testTimeout: 60_000 });

const ROLE = `keyward_${randomBytes(6).toString('hex')}`;
/** All that means something in a URL. */
const PASSWORD = registerCanary(`p@ss:w/ö%rd% 41+&?#'"${randomBytes(8).toString('hex')}`);

let database: TestDatabase;
let directory: string;
let file: string;
/** The database's URL with that role and without a password. */
let url: string;

beforeAll(async () => {
  database = await createTestDatabase();
  directory = await mkdtemp(join(tmpdir(), 'keyward-password-'));
  file = join(directory, 'password');
  await writeFile(file, `${PASSWORD}\n`, { mode: 0o600 });
  const literal = `'${PASSWORD.replaceAll("'", "''")}'`;
  await execute(database.url, `CREATE ROLE ${ROLE} SUPERUSER LOGIN PASSWORD ${literal}`);
  const changed = new URL(database.url);
  changed.username = ROLE;
  changed.password = '';
  url = changed.href;
});

afterAll(async () => {
  const serverUrl = database.url;
  await execute(serverUrl, `REASSIGN OWNED BY ${ROLE} TO CURRENT_USER`);
  await execute(serverUrl, `DROP ROLE ${ROLE}`);
  await database.drop();
  await rm(directory, { recursive: true });
});

test.each(['1', '2'])('a service of %s processes takes the password from the file', async (workers) => {
  const env = {
    DATABASE_URL: url,
    DATABASE_LISTEN_URL: `${url}?application_name=listener`,
    DATABASE_PASSWORD_FILE: file,
    KEYWARD_FERNET_KEYS: TEST_KEY,
    KEYWARD_LISTEN: '127.0.0.1:0',
    KEYWARD_WORKERS: workers,
  };
  expect(await keyward(['migrate'], { env })).toBe('The schema is up to date.\n');
  const serving = await serve({ env });
  await vi.waitFor(
    async () => expect((await runKeyward(['health', '--server', serving.address])).code).toBe(0),
    20_000,
  );
  serving.signal('SIGTERM');
  expect(await serving.exited).toBe(0);
  expect(serving.output()).not.toContain(PASSWORD);
});

test('another password is refused by the database', async () => {
  const wrong = join(directory, 'wrong');
  await writeFile(wrong, 'wrong');
  const env = { DATABASE_URL: url, DATABASE_PASSWORD_FILE: wrong };
  expect((await runKeyward(['migrate'], { env })).code).toBe(1);
});

test('a socket has its password too', () => {
  const env = { DATABASE_URL: 'postgres:///keyward?host=/run/postgresql', DATABASE_PASSWORD_FILE: file };
  const { databaseUrl, databaseListenUrl } = readConfig(env);
  const parameters = new URL(existing(databaseUrl).reveal(), 'postgres://base').searchParams;
  expect(Object.fromEntries(parameters)).toEqual({ host: '/run/postgresql', password: PASSWORD });
  expect(databaseListenUrl).toBeUndefined();
  expect(JSON.stringify(readConfig(env))).not.toContain(encodeURIComponent(PASSWORD));
});

test('a file that is not there, or empty, is told without its content', async () => {
  const empty = join(directory, 'empty');
  await writeFile(empty, '\n');
  const reading = (path: string) => () => readConfig({ DATABASE_URL: url, DATABASE_PASSWORD_FILE: path });
  expect(reading('/nowhere')).toThrow(
    new ConfigError('the file of DATABASE_PASSWORD_FILE cannot be read: ENOENT'),
  );
  expect(reading(empty)).toThrow(new ConfigError('the file of DATABASE_PASSWORD_FILE is empty'));
});
