import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { checkHealth, connect, type ClientOptions } from '../../../src/client/index.js';
import { keyward, runKeyward, spawnKeyward, type CommandResult } from '../../support/keyward-command.js';
import { isTls, startRecorder, startRecordingProxy, type Recorder } from '../../support/recording-proxy.js';
import { MUTUAL_TLS, type TestServer } from '../../support/server.js';
import { onTerminal } from '../../support/terminal.js';
import { World } from '../../support/world.js';

const { KEYWARD_TLS_CERT, KEYWARD_TLS_KEY, KEYWARD_TLS_CLIENT_CA: CA } = MUTUAL_TLS;
const PROXY_VARIABLES = ['grpc_proxy', 'https_proxy', 'http_proxy'] as const;
const AUTHORITY_VARIABLES = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH'];
/** Every client command, with the least that it needs. */
const COMMANDS = [
  ['validate', 'guess'],
  ['call', 'keyward.token.v1.TokenService/ListTokens'],
  ['keys', 'status'],
  ['keys', 'rotate', '--dry-run'],
  ['secret', 'list'],
  ['secret', 'get', '1'],
] as const;
/** The `script` that gives a terminal to a command is util-linux's. */
const withTerminal = test.skipIf(process.platform !== 'linux');

let world: World;
let tlsServer: TestServer;
let directory: string;
/** Leads to this machine, and is no loopback address for those who look at it. */
let recorder: Recorder;
let elsewhere: string;

beforeAll(async () => {
  world = await World.create();
  tlsServer = await world.startServer({ KEYWARD_TLS_CERT, KEYWARD_TLS_KEY });
  directory = await mkdtemp(join(tmpdir(), 'keyward-client-'));
});

afterAll(async () => {
  await world.close();
  await rm(directory, { recursive: true });
});

beforeEach(async () => {
  recorder = await startRecorder();
  elsewhere = `0.0.0.0:${recorder.port}`;
});

afterEach(() => {
  recorder.close();
  vi.unstubAllEnvs();
});

/** validateOnce makes a call with the superuser's token. */
async function validateOnce(options: ClientOptions): Promise<void> {
  const client = connect({ token: world.adminToken, timeoutMs: 5_000, ...options });
  try {
    await client.tokens.validateToken({ token: 'guess' });
  } finally {
    client.close();
  }
}

function sentTls(recorded: Recorder): boolean {
  return isTls(Buffer.from(recorded.received(), 'latin1'));
}

function command(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
  return runKeyward(args, { env: { KEYWARD_TOKEN: world.adminToken, ...env } });
}

describe('to an address that is not loopback', () => {
  test('a client begins with TLS, and sends its token in clear only with plaintext', async () => {
    await expect(validateOnce({ server: elsewhere })).rejects.toMatchObject({ codeName: 'UNAVAILABLE' });
    expect(sentTls(recorder)).toBe(true);
    await expect(checkHealth({ server: elsewhere })).rejects.toMatchObject({ codeName: 'UNAVAILABLE' });
    expect(recorder.received()).not.toContain(world.adminToken);
    expect(recorder.received()).not.toContain('PRI * HTTP/2.0');
  });

  test('a client that asks for plaintext is heard in plaintext', async () => {
    await expect(validateOnce({ server: elsewhere, plaintext: true, timeoutMs: 1_000 })).rejects.toThrow();
    expect(recorder.received()).toContain('PRI * HTTP/2.0');
  });

  test.each([...COMMANDS, ['health']].map((args) => args.join(' ')))(
    'keyward %s begins with TLS',
    async (line) => {
      const { code, stderr } = await command([...line.split(' '), '--server', elsewhere]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^keyward: UNAVAILABLE: [^\n]+\n$/);
      expect(sentTls(recorder)).toBe(true);
      expect(recorder.received()).not.toContain(world.adminToken);
    },
  );

  test("a command does not take this machine's admin token along", async () => {
    await writeFile(join(directory, 'admin-token'), `${world.adminToken}\n`, { mode: 0o600 });
    const own = { KEYWARD_DATA_DIR: directory, KEYWARD_TOKEN: undefined };
    const there = world.server.address.replace('127.0.0.1', '0.0.0.0');
    const refused = await command(['secret', 'list', '--plaintext', '--server', there], own);
    expect(refused.stderr).toMatch(/^keyward: UNAUTHENTICATED/);
    expect((await command(['secret', 'list', '--server', world.server.address], own)).code).toBe(0);
  });

  test('a command with --plaintext works', async () => {
    const there = world.server.address.replace('127.0.0.1', '0.0.0.0');
    for (const args of [['secret', 'list'], ['health']]) {
      expect(await command([...args, '--plaintext', '--server', there])).toMatchObject({
        code: 0,
        stderr: '',
      });
    }
  });

  test('a server without TLS is told as such', async () => {
    const there = world.server.address.replace('127.0.0.1', '0.0.0.0');
    expect((await command(['secret', 'list', '--server', there])).stderr).toBe(
      'keyward: UNAVAILABLE: the server speaks no TLS; give plaintext (--plaintext) if nobody else can read the network\n',
    );
  });

  test('keyward health asks the server that has its own settings as that server serves', async () => {
    const there = world.server.address.replace('127.0.0.1', '0.0.0.0');
    const own = { KEYWARD_LISTEN: there.replace('0.0.0.0', '127.1'), KEYWARD_ALLOW_PLAINTEXT: 'true' };
    expect(await command(['health'], own)).toMatchObject({ code: 0, stdout: 'SERVING\n' });
  });
});

describe('authorities', () => {
  test.each(AUTHORITY_VARIABLES)('of this machine are trusted: %s', async (variable) => {
    const args = ['secret', 'list', '--tls', '--server', tlsServer.address];
    const unset = Object.fromEntries(AUTHORITY_VARIABLES.map((each) => [each, undefined]));
    const env = { ...unset, KEYWARD_TOKEN: world.adminToken };
    // Node and the library read some of them when they start.
    expect(await spawnKeyward(args, { env: { ...env, [variable]: CA } })).toMatchObject({
      code: 0,
      stderr: '',
    });
    expect((await spawnKeyward(args, { env })).stderr).toMatch(/^keyward: UNAVAILABLE: [^\n]*certificate/);
  });

  test('that are named take the place of those of this machine', async () => {
    await validateOnce({ server: tlsServer.address, ca: CA });
    vi.stubEnv('NODE_EXTRA_CA_CERTS', CA);
    await validateOnce({ server: tlsServer.address, tls: true });
    const other = join(directory, 'other.pem');
    await writeFile(other, '');
    await expect(validateOnce({ server: tlsServer.address, ca: other })).rejects.toThrow();
  });
});

describe('a proxy of the environment', () => {
  let proxy: Recorder;

  beforeEach(async () => {
    proxy = await startRecordingProxy();
    for (const variable of PROXY_VARIABLES) vi.stubEnv(variable, `http://127.0.0.1:${proxy.port}`);
    for (const variable of ['no_proxy', 'no_grpc_proxy']) vi.stubEnv(variable, '');
  });

  afterEach(() => proxy.close());

  test('sees nothing of calls to loopback, with TLS or without', async () => {
    await validateOnce({ server: world.server.address });
    await validateOnce({ server: world.server.address.replace('127.0.0.1', 'localhost') });
    await validateOnce({ server: tlsServer.address, ca: CA });
    await checkHealth({ server: world.server.address });
    for (const args of [...COMMANDS, ['health']]) await command([...args, '--server', world.server.address]);
    expect(proxy.received()).toBe('');
  });

  test('sees nothing of calls in plaintext', async () => {
    const there = world.server.address.replace('127.0.0.1', '0.0.0.0');
    await validateOnce({ server: there, plaintext: true });
    expect((await command(['secret', 'list', '--server', there, '--plaintext'])).code).toBe(0);
    expect(proxy.received()).toBe('');
  });

  test('sees nothing of calls with TLS unless it is asked for, and then no token', async () => {
    await expect(validateOnce({ server: elsewhere })).rejects.toThrow();
    expect(proxy.received()).toBe('');
    await expect(validateOnce({ server: elsewhere, proxy: true })).rejects.toThrow();
    expect(proxy.received()).toContain(`CONNECT ${elsewhere}`);
    await command(['secret', 'list', '--server', elsewhere, '--proxy']);
    expect(sentTls(recorder)).toBe(true);
    expect(proxy.received()).not.toContain(world.adminToken);
    expect(proxy.received()).not.toContain('PRI * HTTP/2.0');
  });

  test('is refused for loopback and for plaintext', async () => {
    const refused = async (...args: string[]) =>
      (await command(['secret', 'list', '--proxy', ...args])).stderr;
    expect(await refused('--server', world.server.address)).toMatch(
      /^keyward: no proxy leads to 127\.0\.0\.1/,
    );
    expect(await refused('--server', elsewhere, '--plaintext')).toMatch(/^keyward: a proxy would see/);
    expect(proxy.received()).toBe('');
  });
});

describe('the token of a command', () => {
  async function fileOf(content: string, mode: number): Promise<string> {
    const file = join(directory, `token-${mode.toString(8)}`);
    await writeFile(file, content, { mode });
    return file;
  }

  function list(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
    return command(['secret', 'list', '--server', world.server.address, ...args], {
      KEYWARD_TOKEN: 'another',
      ...env,
    });
  }

  test('is read from a file, before the environment', async () => {
    const file = await fileOf(`${world.adminToken}\n`, 0o600);
    expect(await list(['--token-file', file])).toMatchObject({ code: 0, stderr: '' });
    expect((await list([])).code).toBe(1);
  });

  test('from a file that others can read is taken with a warning', async () => {
    const file = await fileOf(world.adminToken, 0o644);
    const { code, stderr } = await list(['--token-file', file]);
    expect(code).toBe(0);
    expect(stderr).toBe(`keyward: warning: others on this machine can read or replace ${file}: chmod 600\n`);
  });

  test('is refused from an empty file, from none, and from two places', async () => {
    expect((await list(['--token-file', await fileOf(' \n', 0o600)])).stderr).toMatch(
      /^keyward: .* holds no token\n$/,
    );
    expect((await list(['--token-file', '/nowhere'])).stderr).toMatch(/^keyward: ENOENT/);
    const both = await list(['--token-file', '/nowhere', '--token', 'x']);
    expect(both.stderr).toMatch(/cannot be used with/);
  });

  test('on the command line is taken without a word where there is no terminal', async () => {
    expect(await list(['--token', world.adminToken])).toMatchObject({ code: 0, stderr: '' });
  });

  withTerminal('on the command line is taken with a warning on a terminal', async () => {
    const env = { ...process.env, KEYWARD_SERVER: world.server.address };
    const shown = await onTerminal(['secret', 'list', '--token', world.adminToken], { env });
    expect(shown).toMatch(
      /^keyward: warning: others on this machine can see --token in the list of processes\r\n/,
    );
    const asked = await onTerminal(['validate', 'guess'], {
      env: { ...env, KEYWARD_TOKEN: world.adminToken },
    });
    expect(asked).toMatch(/^keyward: warning: others .* can see the text that is asked about/);
    expect(shown).not.toContain(world.adminToken);
  });

  test('is never named by an error', async () => {
    for (const args of [
      ['--ca', '/nowhere'],
      ['--plaintext', '--tls'],
      ['--cert', 'x'],
    ]) {
      const { code, stderr } = await list([...args, '--token', world.adminToken]);
      expect(code).toBe(1);
      expect(stderr).not.toContain(world.adminToken);
    }
    expect(await keyward(['validate', '--help'])).toContain('--token-file');
  });
});
