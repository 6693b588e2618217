import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, inject, test, vi } from 'vitest';
import { connect, type KeywardClient } from '../../src/client/index.js';
import { removeDataDir } from '../support/data-dir.js';
import { TEST_KEY } from '../support/keyring.js';
import {
  installInto,
  keyward,
  runKeyward,
  serve,
  spawnKeyward,
  type CommandOptions,
  type Serving,
} from '../support/keyward-command.js';
import { isAlive, postmasterOf, untilGone } from '../support/postmaster.js';
import { execute, withDatabaseName } from '../support/sql.js';

const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;

/** One data directory for all tests, as a machine has one; the first test makes the database in it. */
let parent: string;
let dataDir: string;
let options: CommandOptions;
let running: Serving[] = [];

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'keyward-serve-'));
  dataDir = join(parent, 'data');
  options = {
    env: { KEYWARD_DATA_DIR: dataDir, KEYWARD_LISTEN: '127.0.0.1:0', DATABASE_URL: '' },
    cwd: parent,
  };
});

afterEach(async () => {
  for (const serving of running) {
    if (isAlive(serving.pid)) serving.signal('SIGTERM');
    await serving.exited;
  }
  running = [];
});

afterAll(async () => {
  await removeDataDir(dataDir);
  await rm(parent, { recursive: true, force: true });
});

async function start(more: CommandOptions = {}): Promise<Serving> {
  const serving = await serve({ ...options, ...more });
  running.push(serving);
  return serving;
}

async function adminToken(): Promise<string> {
  return (await readFile(join(dataDir, 'admin-token'), 'utf8')).trim();
}

async function withClient<T>({ address }: Serving, use: (client: KeywardClient) => Promise<T>): Promise<T> {
  const client = connect({ server: address, token: await adminToken() });
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

async function createToken(serving: Serving, name: string): Promise<string> {
  return withClient(serving, async ({ tokens }) => (await tokens.createToken({ name })).plaintext);
}

async function isValid(serving: Serving, token: string): Promise<boolean> {
  return withClient(serving, async ({ tokens }) => (await tokens.validateToken({ token })).valid);
}

test('without configuration it serves, with an admin token and a key that only its user can read', async () => {
  await chmod(parent, 0o700);
  const serving = await start();
  expect(serving.output()).toContain('grpcurl -plaintext');
  for (const file of ['admin-token', 'fernet-keys']) {
    expect((await stat(join(dataDir, file))).mode & 0o777).toBe(0o600);
  }
  expect(await isValid(serving, await adminToken())).toBe(true);
  expect(await spawnKeyward(['health', '--server', serving.address], options)).toEqual({
    code: 0,
    stdout: 'SERVING\n',
    stderr: '',
  });
});

test.skipIf(!isRoot)('a normal user can run it too (only root can test this)', async () => {
  const home = await mkdtemp(join(tmpdir(), 'keyward-serve-'));
  await chown(home, NOBODY, NOBODY);
  const own = join(home, 'data');
  const env = { ...options.env, KEYWARD_DATA_DIR: own };
  const serving = await start({ env, cwd: home, uid: NOBODY, installation: await installInto(home) });
  const client = connect({
    server: serving.address,
    token: (await readFile(join(own, 'admin-token'), 'utf8')).trim(),
  });
  expect(await client.tokens.listTokens({})).toMatchObject({ tokens: [{ name: 'keyward-admin' }] });
  client.close();
  expect((await stat(join(own, 'postgres'))).uid).toBe(NOBODY);
  serving.signal('SIGTERM');
  await serving.exited;
  await rm(home, { recursive: true });
});

test('what was acknowledged survives kill -9 of the service', async () => {
  const first = await start();
  const token = await createToken(first, 'kept');
  first.signal('SIGKILL');
  await first.exited;
  const second = await start();
  expect(await isValid(second, token)).toBe(true);
});

test('what was acknowledged survives kill -9 of the service and of PostgreSQL', async () => {
  const first = await start();
  const token = await createToken(first, 'kept-too');
  const postmaster = await postmasterOf(dataDir);
  first.signal('SIGKILL');
  process.kill(postmaster, 'SIGKILL');
  await first.exited;
  await untilGone(postmaster);
  const second = await start();
  expect(await isValid(second, token)).toBe(true);
});

test('Ctrl-C ends the service and its database, and nothing is left', async () => {
  const serving = await start();
  const postmaster = await postmasterOf(dataDir);
  serving.signal('SIGINT', 'group');
  expect(await serving.exited).toBe(0);
  await untilGone(postmaster);
});

test('Ctrl-C under npm, which passes the signal on once more, is one Ctrl-C', async () => {
  const serving = await start();
  const postmaster = await postmasterOf(dataDir);
  serving.signal('SIGINT', 'group');
  serving.signal('SIGINT');
  expect(await serving.exited).toBe(0);
  await untilGone(postmaster);
});

test('uses of the last seconds are written when the service stops', async () => {
  const first = await start();
  const token = await createToken(first, 'used');
  expect(await isValid(first, token)).toBe(true);
  first.signal('SIGTERM');
  expect(await first.exited).toBe(0);
  const second = await start();
  const page = await withClient(second, ({ tokens }) => tokens.listTokens({ filter: 'name = "used"' }));
  expect(page.tokens[0]?.lastUsedAt).toBeDefined();
});

test('a second service on the same data joins the database, and keeps it when the first one goes', async () => {
  const first = await start();
  const second = await start();
  const token = await createToken(first, 'shared');
  expect(await isValid(second, token)).toBe(true);
  first.signal('SIGINT', 'group');
  expect(await first.exited).toBe(0);
  expect(await isValid(second, await createToken(second, 'later'))).toBe(true);
});

test('an admin token revoked on purpose stays revoked, and is made anew once its file is gone', async () => {
  const first = await start();
  const old = await adminToken();
  await withClient(first, ({ tokens }) =>
    tokens.revokeToken({
      selector: {
        selector: {
          $case: 'ownedName',
          value: { owner: { $case: 'accountNumber', value: '3141-5926-5359' }, name: 'keyward-admin' },
        },
      },
    }),
  );
  first.signal('SIGTERM');
  await first.exited;

  const second = await start();
  await expect(isValid(second, old)).rejects.toMatchObject({ reason: 'CREDENTIALS_REFUSED' });
  expect(second.output()).toContain('is not known: it was revoked, or replaced');
  second.signal('SIGTERM');
  await second.exited;

  await rm(join(dataDir, 'admin-token'));
  const third = await start();
  expect(await adminToken()).not.toBe(old);
  expect(await isValid(third, old)).toBe(false);
});

test('a start that fails says why in one line, and leaves no database running', async () => {
  const first = await start();
  const other = join(parent, 'other');
  await mkdir(other);
  const { code, stderr } = await spawnKeyward(['serve'], {
    ...options,
    env: { ...options.env, KEYWARD_DATA_DIR: other, KEYWARD_LISTEN: first.address },
  });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^keyward: cannot listen on .*EADDRINUSE.*\n$/);
  await expect(postmasterOf(other)).rejects.toThrow();
  await removeDataDir(other);
});

test('an admin token that others can read or change is used by nobody: neither the service nor a command', async () => {
  const first = await start();
  const file = join(dataDir, 'admin-token');
  await chmod(file, 0o644);
  const validated = await runKeyward(['validate', '--server', first.address, 'guess'], options);
  first.signal('SIGTERM');
  await first.exited;
  const served = await spawnKeyward(['serve'], options);
  for (const { code, stderr } of [validated, served]) {
    expect(code).toBe(1);
    expect(stderr).toMatch(/^keyward: [^\n]*admin-token is not used: others may read or change it[^\n]*\n$/);
  }
  await expect(postmasterOf(dataDir)).rejects.toThrow();
  await chmod(file, 0o600);
});

test.skipIf(!isRoot)('an admin token of another user is not used (only root can test this)', async () => {
  const serving = await start();
  const file = join(dataDir, 'admin-token');
  await chown(file, NOBODY, NOBODY);
  const { stderr } = await runKeyward(['validate', '--server', serving.address, 'guess'], options);
  expect(stderr).toMatch(/^keyward: [^\n]*admin-token is not used: it belongs to uid 65534[^\n]*\n$/);
  await chown(file, 0, 0);
});

test('the service says in one line what a database link gives up that leaves the machine', async () => {
  // Nobody has this address (RFC 5737).
  const serving = await start({
    env: {
      ...options.env,
      DATABASE_URL: 'postgres://keyward:canary@192.0.2.1/keyward?sslmode=disable',
      KEYWARD_FERNET_KEYS: TEST_KEY,
      KEYWARD_DATABASE_TIMEOUT_SECONDS: '1',
    },
  });
  const warnings = serving
    .output()
    .split('\n')
    .filter((line) => line.includes('192.0.2.1 is not encrypted'));
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(/"level":"?(40|warn)/);
  expect(serving.output()).not.toContain('canary');
});

test('with DATABASE_URL nothing is invented: no schema, no token, until they are asked for', async () => {
  const serverUrl = inject('databaseServerUrl');
  const name = `keyward_empty_${randomBytes(6).toString('hex')}`;
  await execute(serverUrl, `CREATE DATABASE ${name}`);
  const databaseUrl = withDatabaseName(serverUrl, name);
  const production = {
    ...options,
    env: { ...options.env, DATABASE_URL: databaseUrl, KEYWARD_FERNET_KEYS: TEST_KEY },
  };
  const withoutKey = { ...production, env: { ...production.env, KEYWARD_FERNET_KEYS: '' } };
  expect(await spawnKeyward(['serve'], withoutKey)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^keyward: KEYWARD_FERNET_KEYS or [^\n]* must be set [^\n]*\n$/) as string,
  });
  const serving = await start(production);
  const health = () => runKeyward(['health', '--server', serving.address], production);
  expect(await health()).toMatchObject({ code: 1, stdout: 'NOT_SERVING\n' });
  expect(serving.output()).toContain('run \\"keyward migrate\\"');

  await keyward(['migrate'], production);
  await vi.waitFor(async () => expect((await health()).code).toBe(0), { timeout: 10_000 });
  const refused = await runKeyward(['validate', '--server', serving.address, 'guess'], production);
  expect(refused.stderr).toMatch(/^keyward: UNAUTHENTICATED/);

  const token = (await keyward(['bootstrap'], production)).trim();
  expect((await runKeyward(['bootstrap'], production)).code).toBe(1);
  const asAdmin = {
    ...production,
    env: { ...production.env, KEYWARD_SERVER: serving.address, KEYWARD_TOKEN: token },
  };
  expect(await keyward(['validate', token], asAdmin)).toContain('valid');

  const reissued = (await keyward(['bootstrap', '--reissue'], production)).trim();
  expect(reissued).not.toBe(token);
  serving.signal('SIGTERM');
  await serving.exited;
  await execute(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`);
});
