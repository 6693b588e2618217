import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startEmbeddedPostgres } from '../../src/db/embedded-postgres.js';
import { connect, type KeywardClient } from '../../src/client/index.js';
import { clusterOf, removeDataDir } from '../support/data-dir.js';
import { startImpostor, type Impostor, type Trick } from '../support/impostor.js';
import { keyward, serve, type Serving } from '../support/keyward-command.js';
import { isAlive, postmasterOf, untilGone } from '../support/postmaster.js';
import { execute } from '../support/sql.js';

vi.setConfig({ testTimeout: 90_000 });

const TRICKS: readonly Trick[] = [
  'asks for the password in clear',
  'asks for a hash of the password',
  'asks for no password',
  'skips the authentication',
  'begins SCRAM and does not end it',
  'ends SCRAM with a proof of its own',
];

let parent: string;
let dataDir: string;
let service: Serving | undefined;
let impostor: Impostor | undefined;
let holder: ChildProcess | undefined;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'keyward-impostor-'));
  dataDir = join(parent, 'data');
});

afterEach(async () => {
  await impostor?.close();
  holder?.kill('SIGKILL');
  if (service !== undefined) {
    if (isAlive(service.pid)) service.signal('SIGTERM');
    await service.exited;
  }
  await removeDataDir(dataDir);
  await rm(parent, { recursive: true, force: true });
});

/** whatWasLearnt leaves out the farewell and what SCRAM says, which tells nothing to who does not know the password. */
function whatWasLearnt({ heard }: Impostor): string[] {
  return heard.filter(
    (text) => !text.startsWith('X') && !/^p: (SCRAM-SHA-256\0.*n,,n=|c=biws,r=)/s.test(text),
  );
}

/** keepDown keeps PostgreSQL from starting: another process of its user seems to have the socket. */
async function keepDown(cluster: string): Promise<void> {
  const { uid, gid } = await stat(cluster);
  holder = spawn(process.execPath, ['-e', 'setInterval(() => {}, 60_000)'], { uid, gid, cwd: '/' });
  await writeFile(`${socketIn(cluster)}.lock`, `${holder.pid}\n${cluster}\n1\n5432\n${cluster}\n`);
}

const socketIn = (cluster: string) => join(cluster, '.s.PGSQL.5432');

test('who takes the place of a crashed database under a running service gets nothing', async () => {
  const env = {
    KEYWARD_DATA_DIR: dataDir,
    KEYWARD_LISTEN: '127.0.0.1:0',
    DATABASE_URL: '',
    KEYWARD_DATABASE_TIMEOUT_SECONDS: '1',
  };
  service = await serve({ env, cwd: parent });
  const token = (await readFile(join(dataDir, 'admin-token'), 'utf8')).trim();
  const client: KeywardClient = connect({ server: service.address, token });
  const cluster = (await clusterOf(dataDir)) ?? '';
  try {
    const { plaintext } = await client.tokens.createToken({ name: 'kept' });
    await keepDown(cluster);
    const pid = await postmasterOf(dataDir);
    await rm(socketIn(cluster));
    impostor = await startImpostor(TRICKS[0] ?? 'asks for no password', { path: socketIn(cluster) });
    process.kill(pid, 'SIGKILL');
    await untilGone(pid);

    for (const trick of TRICKS) {
      await impostor.close();
      impostor = await startImpostor(trick, { path: socketIn(cluster) });
      const present = impostor;
      // Of what it connects for: calls that read, calls that write, and the session that hears of changes.
      await vi.waitFor(
        async () => {
          await expect(client.tokens.listTokens({})).rejects.toMatchObject({ codeName: 'UNAVAILABLE' });
          await expect(client.secrets.listSecrets({})).rejects.toMatchObject({ codeName: 'UNAVAILABLE' });
          expect(present.connections()).toBeGreaterThan(2);
        },
        { timeout: 20_000, interval: 50 },
      );
      expect([trick, whatWasLearnt(present)]).toEqual([trick, []]);
    }
    await impostor.close();
    impostor = undefined;
    holder?.kill('SIGKILL');

    await vi.waitFor(
      async () => expect((await client.tokens.validateToken({ token: plaintext })).stale).toBe(false),
      {
        timeout: 30_000,
        interval: 100,
      },
    );
    expect(await keyward(['health', '--server', service.address], { env })).toBe('SERVING\n');
  } finally {
    client.close();
  }
});

test('the port of a database of an earlier version, gone with it, is not asked for anything', async () => {
  await (await startEmbeddedPostgres({ dataDir })).stop();
  const cluster = (await clusterOf(dataDir)) ?? '';
  impostor = await startImpostor('asks for the password in clear');
  const gone = spawn(process.execPath, ['-e', '']);
  await untilGone(gone.pid ?? 0);
  await writeFile(
    join(cluster, 'postmaster.pid'),
    `${gone.pid}\n${cluster}\n1\n${impostor.port}\n\n127.0.0.1\n\nready\n`,
  );
  const database = await startEmbeddedPostgres({ dataDir });
  try {
    expect(await execute(database.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(impostor.connections()).toBe(0);
  } finally {
    await database.stop();
  }
});

test('who has the port of such a database, while a PostgreSQL has its process id, gets nothing', async () => {
  const other = await startEmbeddedPostgres({ dataDir: join(parent, 'other') });
  const pid = await postmasterOf(join(parent, 'other'));
  await (await startEmbeddedPostgres({ dataDir })).stop();
  const cluster = (await clusterOf(dataDir)) ?? '';
  impostor = await startImpostor('asks for no password');
  await writeFile(
    join(cluster, 'postmaster.pid'),
    `${pid}\n${cluster}\n1\n${impostor.port}\n\n127.0.0.1\n\nready\n`,
  );
  try {
    // That server is none of this directory, so what the file says of a port is not believed either.
    const own = await startEmbeddedPostgres({ dataDir });
    expect(await execute(own.url, 'SHOW data_directory')).toEqual([{ data_directory: cluster }]);
    await own.stop();
    expect(impostor.connections()).toBe(0);
  } finally {
    await other.stop();
    await removeDataDir(join(parent, 'other'));
  }
});
