import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { makeDataDir, removeDataDir } from '../../support/data-dir.js';
import { keyward, runKeyward } from '../../support/keyward-command.js';
import { TEST_KEY } from '../../support/keyring.js';
import { execute } from '../../support/sql.js';
import { onTerminal } from '../../support/terminal.js';
import { World } from '../../support/world.js';

vi.setConfig({ testTimeout: 60_000 });

let world: World;
let parent: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  world = await World.create();
  parent = await mkdtemp(join(tmpdir(), 'keyward-commands-'));
  env = { KEYWARD_SERVER: world.server.address, KEYWARD_TOKEN: world.adminToken };
});

afterAll(async () => {
  await world.close();
  await rm(parent, { recursive: true, force: true });
});

test('what checks or takes over says so where there is no database, and makes none', async () => {
  const nowhere = join(parent, 'nowhere');
  const here = { cwd: parent, env: { DATABASE_URL: '', KEYWARD_DATA_DIR: nowhere } };
  const from = 'postgres://reader@127.0.0.1:1/smarter';
  for (const command of [
    ['audit', 'verify'],
    ['import-smarter', '--from', from],
    ['import-smarter', '--dry-run', '--from', from],
    ['shadow', '--from', from],
    ['export-smarter', '--secret-key', '0123456789abcdef', '--to', from],
  ]) {
    const { code, stdout, stderr } = await runKeyward(command, here);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^keyward: there is no database: DATABASE_URL is not set, [^\n]*nowhere[^\n]*\n$/);
  }
  const nobody = { KEYWARD_SERVER: '127.0.0.1:1', KEYWARD_TOKEN: 'any' };
  for (const command of [['keys', 'status'], ['keys', 'rotate', '--dry-run'], ['health']]) {
    const { code, stdout, stderr } = await runKeyward(command, { env: { ...here.env, ...nobody } });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /^keyward: UNAVAILABLE: [^\n]*\(no service runs there, and there is no database: [^\n]*nowhere[^\n]*\n$/,
    );
  }
  const { code, stderr } = await runKeyward(['upgrade-database'], here);
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/^keyward: there is no database: [^\n]*nowhere[^\n]*\n$/),
  ]);
  expect(await readdir(parent)).toEqual([]);
});

test('upgrade-database tells a directory in which there is no cluster', async () => {
  const dataDir = await makeDataDir();
  try {
    await mkdir(join(dataDir, 'postgres'));
    const { code, stderr } = await runKeyward(['upgrade-database'], {
      env: { DATABASE_URL: '', KEYWARD_DATA_DIR: dataDir },
    });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^keyward: There is no database in [^\n]*PG_VERSION\.\n$/),
    ]);
  } finally {
    await removeDataDir(dataDir);
  }
});

test('the token that bootstrap prints is the one in the file where commands look for it', async () => {
  const dataDir = join(parent, 'data');
  const embedded = { env: { DATABASE_URL: '', KEYWARD_DATA_DIR: dataDir } };
  const inFile = () => readFile(join(dataDir, 'admin-token'), 'utf8');
  try {
    const first = await keyward(['bootstrap'], embedded);
    expect(await inFile()).toBe(first);
    const second = await keyward(['bootstrap', '--reissue'], embedded);
    expect(second).not.toBe(first);
    expect(await inFile()).toBe(second);
  } finally {
    await removeDataDir(dataDir);
  }
});

test('validate takes a line as it is, or for what it says as a JSON string', async () => {
  const { plaintext } = await world.issue('admin');
  const lines = [plaintext, JSON.stringify(plaintext), '', `${plaintext}\r`, ` ${plaintext}`, '42', '{"a"'];
  const printed = await keyward(['validate', '--json', '-'], { env, input: `${lines.join('\n')}\n` });
  const reasons = printed
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { reason: string }).reason);
  expect(reasons).toEqual(['OK', 'OK', 'OK', 'UNKNOWN', 'UNKNOWN', 'UNKNOWN']);
  const broken = await runKeyward(['validate', '-'], { env, input: 'guess\n"guess\n' });
  expect(broken).toMatchObject({ code: 1, stdout: '' });
  expect(broken.stderr).toBe('keyward: line 2 of standard input begins as a JSON string and is none\n');
});

test('validate says on a terminal what it waits for', async () => {
  const prompt = 'Type or paste texts, one a line';
  const shown = await onTerminal(['validate', '-'], {
    env: { ...process.env, ...env },
    prompt,
    typed: 'guess\n\x04',
  });
  expect(shown).toContain(prompt);
  expect(shown).toContain('refused: UNKNOWN');
});

// The last one, since the world's own token is another one afterwards.
test('a token that is reissued may do everything again, although it had expired and had few scopes', async () => {
  const change = "SET expires_at = now() - interval '1 day', scopes = '{orders:read}'";
  await execute(world.database.url, `UPDATE tokens ${change} WHERE name = 'keyward-admin'`);
  const own = { DATABASE_URL: world.database.url, KEYWARD_FERNET_KEYS: TEST_KEY };
  const token = (await keyward(['bootstrap', '--reissue'], { env: own })).trim();
  env = { ...env, KEYWARD_TOKEN: token };
  expect(await keyward(['validate', '--json', '-'], { env, input: token })).toContain('"reason":"OK"');
});
