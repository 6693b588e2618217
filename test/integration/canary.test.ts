import { createHash, randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { registerCanary } from '../support/canaries.js';
import { TEST_KEY } from '../support/keyring.js';
import { runKeyward, serve, spawnKeyward } from '../support/keyward-command.js';
import { framed, RawHttp2 } from '../support/raw-http2.js';
import { requestFor } from '../support/requests.js';
import { encodeRequest, METHOD_NAMES, pathOf, Peer } from '../support/rpc.js';
import { execute } from '../support/sql.js';
import { World } from '../support/world.js';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const CHECK = join(REPOSITORY, '.ci/check-canaries.mjs');

let directory: string;
let canaryFile: string;
let world: World;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyward-canary-'));
  canaryFile = join(directory, 'canaries');
  vi.stubEnv('KEYWARD_TEST_CANARY_FILE', canaryFile);
  world = await World.create({ KEYWARD_LOG_LEVEL: 'trace' });
  registerCanary(decodeURIComponent(new URL(world.database.url).password));
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await world.close();
  await rm(directory, { recursive: true, force: true });
});

async function callEverything(address: string): Promise<void> {
  const peer = new Peer(address, { token: world.adminToken });
  for (const method of METHOD_NAMES) {
    const outcome = await peer.call(method, await requestFor(method, world));
    expect(outcome, method).toMatchObject({ code: 'OK' });
    await peer.callRaw(method, Buffer.from(world.adminToken));
  }
  const { plaintext, name, id } = await world.issue('owner-a');
  const owner = { selector: { $case: 'id', value: world.profileOf('owner-a').id } } as const;
  const selector = { selector: { $case: 'id', value: id } } as const;
  expect(await peer.call('createToken', { owner, name })).toMatchObject({ code: 'ALREADY_EXISTS' });
  // A text in a place where it does not belong.
  await peer.call('createToken', { owner, name: plaintext, version: plaintext, scopes: [`${plaintext} `] });
  await peer.call('listTokens', { filter: plaintext, orderBy: plaintext, pageToken: plaintext });
  await peer.call('listTokens', { filter: `created_at > "${plaintext}"` });
  await peer.call('getToken', { token: { selector: { $case: 'keyId', value: plaintext } } });
  await peer.call('updateToken', { selector, updateMask: [plaintext], etag: plaintext });
  await peer.call('validateToken', { token: plaintext, requiredScopes: [plaintext.toUpperCase()] });
  const terminate = () =>
    execute(
      world.database.url,
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()',
    );
  const fresh = await Promise.all(Array.from({ length: 10 }, () => world.issue('owner-a')));
  const calls = fresh.flatMap((token) => [
    peer.call('validateToken', { token: token.plaintext }),
    peer.call('renameToken', { selector, newName: world.newName() }),
  ]);
  await terminate();
  await Promise.all(calls);
  peer.close();
}

/** presentOddly sends credentials that no gRPC library would send. */
async function presentOddly(port: number): Promise<void> {
  const wire = await RawHttp2.open(port);
  const body = framed(encodeRequest('validateToken', { token: world.adminToken }));
  const odd = ['Bearer\t', 'Bearer \t', 'Bearer é', 'Bearer "', 'Basic '];
  for (const scheme of odd) {
    const headers = {
      authorization: `${scheme}${world.adminToken}`,
      [`x-${scheme.length}-bin`]: world.adminToken,
    };
    const { code } = await wire.call(pathOf('validateToken'), body, headers, 10_000);
    expect(code, scheme).toBe('UNAUTHENTICATED');
  }
  wire.close();
}

test(
  'no output of the service or its commands at level trace shows a plaintext, a digest or a password',
  { timeout: 90_000 },
  async () => {
    const env = {
      DATABASE_URL: world.database.url,
      KEYWARD_FERNET_KEYS: TEST_KEY,
      KEYWARD_LOG_LEVEL: 'trace',
    };
    const server = await serve({ env: { ...env, KEYWARD_LISTEN: '127.0.0.1:0' } });
    const client = { KEYWARD_SERVER: server.address, KEYWARD_TOKEN: world.adminToken };
    await callEverything(server.address);
    await presentOddly(Number(server.address.split(':')[1]));

    const { plaintext } = await world.issue('owner-a');
    const password = decodeURIComponent(new URL(world.database.url).password);
    const wrongUrl = new URL(world.database.url);
    wrongUrl.port = '1';
    const unreachable = { DATABASE_URL: wrongUrl.href };
    const noSuchUser = new URL(world.database.url);
    noSuchUser.username = 'nobody';
    const json = (value: unknown) => JSON.stringify(value);
    const commands: readonly (readonly [string[], Record<string, string>, string?])[] = [
      [['validate', '--json', '-'], client, `${json(plaintext)}\n${json(`${plaintext} `)}\n`],
      [['validate', '-'], client, `${plaintext}\n`],
      [['validate', '-'], { ...client, KEYWARD_TOKEN: `${world.adminToken}\t` }, `${json(plaintext)}\n`],
      [['validate', '-'], { ...client, KEYWARD_SERVER: '127.0.0.1:1' }, `${json(plaintext)}\n`],
      [['call', 'keyward.token.v1.TokenService/ValidateToken', '-'], client, json({ token: plaintext })],
      [['call', 'keyward.token.v1.TokenService/ValidateToken', '-'], client, json({ token: [plaintext] })],
      [['call', 'keyward.token.v1.TokenService/ValidateToken', '-'], client, plaintext],
      [
        ['call', 'keyward.token.v1.TokenService/CreateToken', '-'],
        client,
        json({ name: '', version: plaintext }),
      ],
      [['migrate'], {}],
      [['migrate'], unreachable],
      [['migrate'], { DATABASE_URL: noSuchUser.href }],
      [['bootstrap'], {}],
      [['bootstrap'], unreachable],
      [['serve'], { DATABASE_URL: `mysql://keyward:${password}@127.0.0.1/x` }],
    ];
    let output = '';
    for (const [args, own, input = ''] of commands) {
      const runToEnd = args[0] === 'serve' ? spawnKeyward : runKeyward;
      const { stdout, stderr } = await runToEnd(args, { env: { ...env, ...own }, input });
      output += stdout + stderr;
    }
    const reissued = await runKeyward(['bootstrap', '--reissue'], { env });
    registerCanary(reissued.stdout.trim());

    server.signal('SIGTERM');
    expect(await server.exited).toBe(0);
    expect(server.output()).toContain('"level":"debug"');
    output += reissued.stderr + server.output() + world.server.log();
    expect(await check(output)).toEqual({ status: 0, errors: '' });
  },
);

test('the check itself finds a plaintext, a digest and a password', async () => {
  const plaintext = registerCanary(randomBytes(32).toString('hex'));
  const digest = createHash('sha512').update(plaintext).digest();
  const forms = [
    plaintext,
    digest.toString('hex').toUpperCase(),
    digest.toString('base64'),
    digest.toString('latin1'),
  ];
  for (const form of forms) {
    expect(await check(`a line\nanother ${JSON.stringify(form)}`)).toMatchObject({
      status: 1,
      errors: expect.stringContaining('line 2') as string,
    });
  }
});

async function check(text: string): Promise<{ status: number | null; errors: string }> {
  const file = join(directory, 'output');
  await writeFile(file, text);
  const child = spawn(process.execPath, [CHECK, file, canaryFile]);
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, errors };
}
