import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmod, chown, lstat, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EmbeddedPostgresError, startEmbeddedPostgres } from '../../../src/db/embedded-postgres.js';
import { clusterOf, makeDataDir, removeDataDir } from '../../support/data-dir.js';
import { createTestDatabase } from '../../support/database.js';
import { MAIN, startOwner } from '../../support/embedded-owner.js';
import { isAlive, postmasterOf, untilGone } from '../../support/postmaster.js';
import { execute } from '../../support/sql.js';

const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;
const QUICK = { fsync: 'off' };

/** nobodyReachesRepository is false where the repository lies in a private directory of root's. */
const nobodyReachesRepository =
  isRoot &&
  spawnSync(process.execPath, ['--check', MAIN], { cwd: '/', uid: NOBODY, gid: NOBODY }).status === 0;

let parent: string;
let dataDir: string;

beforeEach(async () => {
  parent = await makeDataDir();
  dataDir = join(parent, 'data');
});

afterEach(async () => {
  await removeDataDir(dataDir);
  await rm(parent, { recursive: true });
});

describe('the embedded database', () => {
  it('needs nothing but a directory, and keeps its data from one start to the next', async () => {
    const first = await startEmbeddedPostgres({ dataDir });
    expect(first.created).toBe(true);
    await execute(first.url, 'CREATE TABLE kept (value text)');
    await execute(first.url, "INSERT INTO kept VALUES ('acknowledged')");
    await first.stop();

    const second = await startEmbeddedPostgres({ dataDir });
    try {
      expect(second.created).toBe(false);
      expect(await execute(second.url, 'SELECT value FROM kept')).toEqual([{ value: 'acknowledged' }]);
    } finally {
      await second.stop();
    }
  });

  it('is durable, UTF-8, checksummed, and listens on a socket in its own directory alone', async () => {
    const database = await startEmbeddedPostgres({ dataDir });
    try {
      const [settings] = await execute(
        database.url,
        `SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit,
                current_setting('full_page_writes') AS pages, current_setting('data_checksums') AS checksums,
                current_setting('server_encoding') AS encoding, current_setting('listen_addresses') AS listen,
                current_setting('unix_socket_directories') AS sockets,
                current_setting('data_directory') AS directory,
                (SELECT array_agg(type || ' ' || auth_method) FROM pg_hba_file_rules) AS rules,
                pg_get_userbyid(datdba) AS owner
           FROM pg_database WHERE datname = current_database()`,
      );
      expect(settings).toEqual({
        fsync: 'on',
        commit: 'on',
        pages: 'on',
        checksums: 'on',
        encoding: 'UTF8',
        listen: '',
        sockets: `"${await clusterOf(dataDir)}"`,
        directory: await clusterOf(dataDir),
        rules: ['local scram-sha-256'],
        owner: 'keyward',
      });
      expect((await stat((await clusterOf(dataDir)) ?? '')).mode & 0o777).toBe(0o700);
    } finally {
      await database.stop();
    }
  });

  it('asks for the password that only the owner of the data directory can read', async () => {
    const database = await startEmbeddedPostgres({ dataDir, settings: QUICK });
    try {
      const password = (await readFile(join(dataDir, 'postgres-password'), 'utf8')).trim();
      expect(new URL(database.url).password).toBe(password);
      expect((await stat(join(dataDir, 'postgres-password'))).mode & 0o777).toBe(0o600);
      expect((await stat(dataDir)).mode & 0o777).toBe(0o700);

      const wrong = new URL(database.url);
      wrong.password = 'wrong';
      await expect(execute(wrong.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
      expect(
        await execute(database.url, 'SELECT rolpassword LIKE $1 AS scram FROM pg_authid WHERE rolname = $2', [
          'SCRAM-SHA-256$%',
          'keyward',
        ]),
      ).toEqual([{ scram: true }]);
    } finally {
      await database.stop();
    }
  });

  it('is reached whatever the environment says of other databases', async () => {
    vi.stubEnv('PGSSLMODE', 'verify-full');
    vi.stubEnv('PGOPTIONS', '-c default_transaction_read_only=on');
    vi.stubEnv('PGHOST', 'db.invalid');
    vi.stubEnv('PGPORT', '1');
    try {
      const database = await startEmbeddedPostgres({ dataDir, settings: QUICK });
      await execute(database.url, 'CREATE TABLE written (value text)');
      await database.stop();
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('leaves nothing but the finished cluster in its directory', async () => {
    const database = await startEmbeddedPostgres({ dataDir, settings: QUICK });
    await database.stop();
    const names = await readdir(dataDir);
    expect(names.filter((name) => !name.startsWith('postgres-bin-')).sort()).toEqual([
      'postgres',
      'postgres-password',
      'postgres.log',
    ]);
  });

  it('starts although another process has got the process id in its pid file', async () => {
    const first = await startEmbeddedPostgres({ dataDir, settings: QUICK });
    await first.stop();
    const cluster = (await clusterOf(dataDir)) ?? '';
    const { uid, gid } = await stat(cluster);
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 60_000)'], { uid, gid, cwd: '/' });
    try {
      const pidFile = `${other.pid}\n${cluster}\n1\n5432\n${cluster}\n\n\nready\n`;
      await writeFile(join(cluster, 'postmaster.pid'), pidFile);
      // PostgreSQL reads the lock of a socket as it reads that file.
      await writeFile(join(cluster, '.s.PGSQL.5432.lock'), pidFile);
      const second = await startEmbeddedPostgres({ dataDir, settings: QUICK });
      expect(await execute(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      await second.stop();
    } finally {
      other.kill('SIGKILL');
    }
  });

  it('is stopped once, however often it is told to', async () => {
    const database = await startEmbeddedPostgres({ dataDir, settings: QUICK });
    const pid = await postmasterOf(dataDir);
    await Promise.all([database.stop(), database.stop()]);
    await database.stop();
    await untilGone(pid);
  });

  it('refuses to invent a password for a database that has one', async () => {
    await (await startEmbeddedPostgres({ dataDir, settings: QUICK })).stop();
    await rm(join(dataDir, 'postgres-password'));
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow(/password .* is missing/);
  });

  it('refuses a password that is not the database’s, and leaves no server behind', async () => {
    await (await startEmbeddedPostgres({ dataDir, settings: QUICK })).stop();
    await writeFile(join(dataDir, 'postgres-password'), 'another\n');
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow(/refuses the password/);
    const cluster = (await clusterOf(dataDir)) ?? '';
    await expect.poll(() => readdir(cluster), { timeout: 10_000 }).not.toContain('postmaster.pid');
  });
});

describe.runIf(isRoot)('the embedded database of root', () => {
  it('runs as another user under a directory that user cannot enter', async () => {
    expect((await stat(parent)).mode & 0o777).toBe(0o700);
    const database = await startEmbeddedPostgres({ dataDir, settings: QUICK });
    try {
      const status = await readFile(`/proc/${await postmasterOf(dataDir)}/status`, 'utf8');
      const uid = Number(execFileSync('id', ['-u', 'keyward']));
      expect(status).toMatch(new RegExp(`^Uid:\\s+${uid}\\s+${uid}`, 'm'));
      expect((await lstat(join(dataDir, 'postgres'))).isSymbolicLink()).toBe(true);
      expect(dirname((await clusterOf(dataDir)) ?? '')).toBe('/var/lib/keyward');
    } finally {
      await database.stop();
    }
  });

  it('is not replaced by an empty one when the cluster behind the link is missing', async () => {
    await (await startEmbeddedPostgres({ dataDir, settings: QUICK })).stop();
    const cluster = (await clusterOf(dataDir)) ?? '';
    await rename(cluster, `${cluster}-moved`);
    try {
      await expect(startEmbeddedPostgres({ dataDir })).rejects.toBeInstanceOf(EmbeddedPostgresError);
    } finally {
      await rename(`${cluster}-moved`, cluster);
    }
  });
});

describe.runIf(nobodyReachesRepository)('the embedded database of an ordinary user', () => {
  beforeEach(async () => {
    await chmod(parent, 0o755);
    await mkdir(dataDir, { mode: 0o700 });
    await chown(dataDir, NOBODY, NOBODY);
  });

  it('is made and run in the data directory itself, and stops with its only user', async () => {
    const owner = await startOwner(dataDir, NOBODY);
    const pid = await postmasterOf(dataDir);
    expect(owner.created).toBe(true);
    expect(await execute(owner.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect((await lstat(join(dataDir, 'postgres'))).isDirectory()).toBe(true);
    expect(isAlive(pid)).toBe(true);

    expect(await owner.stop()).toBe(0);
    await untilGone(pid);
  });
});

/** longDataDir is a data directory of `nobody` whose path is too long for a socket. */
async function longDataDir(): Promise<string> {
  const long = join(dataDir, 'x'.repeat(90));
  await mkdir(long, { mode: 0o700 });
  await chown(long, NOBODY, NOBODY);
  return long;
}

/** socketDirectoryOf is where a URL says that the socket is. */
const socketDirectoryOf = (url: string) => decodeURIComponent(new URL(url).hostname);

describe.runIf(nobodyReachesRepository)('a data directory whose path is too long for a socket', () => {
  beforeEach(async () => {
    await chmod(parent, 0o755);
    await mkdir(dataDir, { mode: 0o755 });
  });

  it('has the socket in a private directory for temporary files, which goes when the last user goes', async () => {
    const long = await longDataDir();
    const [one, other] = await Promise.all([startOwner(long, NOBODY), startOwner(long, NOBODY)]);
    expect(one.url).toBe(other.url);
    const directory = socketDirectoryOf(one.url);
    expect(directory).toMatch(/^\/tmp\/keyward-\w{6}$/);
    const { uid, mode } = await stat(directory);
    expect([uid, mode & 0o777]).toEqual([NOBODY, 0o700]);
    expect(await execute(one.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await one.stop();
    expect(await execute(other.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await other.stop();
    await expect(stat(directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('has it at the same place after a kill -9 of everything, even if that was tidied up', async () => {
    const long = await longDataDir();
    const first = await startOwner(long, NOBODY);
    const pid = await postmasterOf(long);
    await first.kill();
    process.kill(pid, 'SIGKILL');
    await untilGone(pid);
    await rm(socketDirectoryOf(first.url), { recursive: true });
    const second = await startOwner(long, NOBODY);
    expect(second.url).toBe(first.url);
    await second.stop();
  });

  it('is not talked to where others can have put the socket', async () => {
    const long = await longDataDir();
    const owner = await startOwner(long, NOBODY);
    await chmod(socketDirectoryOf(owner.url), 0o777);
    await expect(startOwner(long, NOBODY)).rejects.toThrow(/which is gone or which others can write to/);
    await chmod(socketDirectoryOf(owner.url), 0o700);
    await owner.stop();
  });

  it('leaves a directory of somebody else’s where it is, and takes another', async () => {
    const long = await longDataDir();
    const first = await startOwner(long, NOBODY);
    const pid = await postmasterOf(long);
    await first.kill();
    process.kill(pid, 'SIGKILL');
    await untilGone(pid);
    const directory = socketDirectoryOf(first.url);
    await chown(directory, 1, 1);
    const second = await startOwner(long, NOBODY);
    expect(socketDirectoryOf(second.url)).not.toBe(directory);
    await second.stop();
    await rm(directory, { recursive: true });
  });
});

describe('a test database', () => {
  it('is migrated and empty, and gone after drop', async () => {
    const database = await createTestDatabase();
    expect(await execute(database.url, 'SELECT count(*)::int AS count FROM users')).toEqual([{ count: 0 }]);
    await database.drop();
    await expect(execute(database.url, 'SELECT 1')).rejects.toMatchObject({ code: '3D000' });
  });
});
