import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { removeDataDir, unfinishedIn } from '../support/data-dir.js';
import { createTestDatabase } from '../support/database.js';
import { serve, type CommandOptions } from '../support/keyward-command.js';
import { TEST_KEY } from '../support/keyring.js';
import { postmasterOf, untilGone } from '../support/postmaster.js';
import { framed, RawHttp2 } from '../support/raw-http2.js';
import { pathOf } from '../support/rpc.js';
import { MUTUAL_TLS } from '../support/server.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

// Services are started and stopped in processes of their own.
vi.setConfig({ testTimeout: 60_000 });

let parent: string;
let dataDir: string;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'keyward-stop-'));
  dataDir = join(parent, 'data');
  env = { KEYWARD_DATA_DIR: dataDir, KEYWARD_LISTEN: '127.0.0.1:0', DATABASE_URL: '' };
});

afterEach(async () => {
  await removeDataDir(dataDir);
  await rm(parent, { recursive: true, force: true });
});

/** childrenOf are the processes that a process started, directly or not. */
function childrenOf(pid: number): number[] {
  const lines = execFileSync('ps', ['-e', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  return lines
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([child, parent]) => {
      return parent === pid && child !== undefined ? [child, ...childrenOf(child)] : [];
    });
}

test.each(['1', '2'])(
  'a terminal that is closed stops the service in order, with its database (workers: %s)',
  async (workers) => {
    const command = `'${process.execPath}' '${MAIN}' serve`;
    const terminal = spawn('script', ['--quiet', '--command', command, '/dev/null'], {
      env: { ...process.env, ...env, KEYWARD_HTTP_LISTEN: '', KEYWARD_WORKERS: workers },
    });
    let shown = '';
    terminal.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()));
    await vi.waitFor(() => expect(shown).toContain('"msg":"listening"'), 30_000);
    const postmaster = await postmasterOf(dataDir);
    const processes = childrenOf(terminal.pid ?? 0);
    expect(processes.length).toBeGreaterThanOrEqual(2);

    terminal.kill('SIGKILL');
    await once(terminal, 'close');
    await untilGone(postmaster);
    for (const pid of processes) await untilGone(pid);
    expect(await readdir(join(dataDir, 'postgres'))).not.toContain('postmaster.pid');
  },
);

test('a stop during the creation of the database breaks it off, and leaves nothing', async () => {
  const child = spawn(process.execPath, [MAIN, 'serve'], {
    env: { ...process.env, ...env, KEYWARD_HTTP_LISTEN: '' },
  });
  const mark = `.unfinished-${child.pid}-`;
  const mine = async () => (await unfinishedIn(dataDir)).filter((name) => name.includes(mark));
  await vi.waitFor(async () => expect(await mine()).not.toEqual([]), { timeout: 30_000, interval: 5 });
  child.kill('SIGTERM');
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(await mine()).toEqual([]);
  await expect(postmasterOf(dataDir)).rejects.toThrow();
});

test('a second signal ends the service without waiting for calls, but not without its database', async () => {
  const patience = { KEYWARD_SHUTDOWN_SECONDS: '600', KEYWARD_REQUEST_TIMEOUT_SECONDS: '600' };
  const serving = await serve({ env: { ...env, ...patience }, cwd: parent });
  const postmaster = await postmasterOf(dataDir);
  const wire = await RawHttp2.open(Number(serving.address.split(':')[1]));
  const authorization = `Bearer ${(await readFile(join(dataDir, 'admin-token'), 'utf8')).trim()}`;
  // A call that is under way for as long as the service lets it be.
  const call = wire.begin(pathOf('listTokens'), { authorization }, 60_000);
  call.write(Buffer.from([0, 0, 0]));
  await wire.call(pathOf('listTokens'), framed(Buffer.alloc(0)), { authorization }, 20_000);
  serving.signal('SIGTERM');
  await vi.waitFor(() => expect(serving.output()).toContain('"msg":"stopping"'), 10_000);
  const again = setInterval(() => {
    if (!serving.output().includes('stopping at once')) serving.signal('SIGTERM');
  }, 100);
  expect(await serving.exited).toBe(1);
  clearInterval(again);
  await untilGone(postmaster);
  wire.close();
});

test.each(['1', '2'])(
  'without a terminal SIGHUP reads the files of TLS anew, and a file that does not fit changes nothing (workers: %s)',
  async (workers) => {
    const database = await createTestDatabase();
    const [cert, key] = [join(parent, 'cert.pem'), join(parent, 'key.pem')];
    const use = async (certificate: string): Promise<void> => {
      await copyFile(certificate, cert);
      await copyFile(certificate.replace('.pem', '.key.pem'), key);
    };
    const first = MUTUAL_TLS.KEYWARD_TLS_CERT;
    const other = first.replace('server.pem', 'staff-a.pem');
    await use(first);
    const options: CommandOptions = {
      env: {
        ...env,
        DATABASE_URL: database.url,
        KEYWARD_FERNET_KEYS: TEST_KEY,
        KEYWARD_TLS_CERT: cert,
        KEYWARD_TLS_KEY: key,
        KEYWARD_WORKERS: workers,
      },
    };
    const serving = await serve(options);
    expect(await subjectAt(serving.address)).toBe('localhost');

    await copyFile(other, cert);
    serving.signal('SIGHUP');
    await vi.waitFor(() => expect(serving.output()).toContain('KEYWARD_TLS_KEY is not the key'), 10_000);
    expect(await subjectAt(serving.address)).toBe('localhost');

    await use(other);
    serving.signal('SIGHUP');
    await expect.poll(() => subjectAt(serving.address), { timeout: 10_000 }).toBe('staff-a');
    serving.signal('SIGTERM');
    expect(await serving.exited).toBe(0);
    await database.drop();
  },
);

/** subjectAt is whom the certificate of a server names. */
async function subjectAt(address: string): Promise<string> {
  const [host, port] = address.split(':');
  const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  try {
    await once(socket, 'secureConnect');
    return String(socket.getPeerCertificate().subject.CN);
  } finally {
    socket.destroy();
  }
}
