import { execFileSync } from 'node:child_process';
import {
  chown,
  link,
  lstat,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startEmbeddedPostgres } from '../../src/db/embedded-postgres.js';
import { openCluster, type Cluster } from '../../src/db/embedded/cluster.js';
import { handOver } from '../../src/db/embedded/hand-over.js';
import { DEFAULT_SETTINGS } from '../../src/db/embedded/server.js';
import { clusterOf, makeDataDir, removeDataDir } from '../support/data-dir.js';
import { startOwner } from '../support/embedded-owner.js';
import { isAlive, postmasterOf } from '../support/postmaster.js';
import { execute } from '../support/sql.js';
import { startTcpPostmaster } from '../support/tcp-postmaster.js';

vi.setConfig({ testTimeout: 60_000 });

const NOBODY = { uid: 65534, gid: 65534 };
const isRoot = process.getuid?.() === 0;
const ignore = () => undefined;
const keywardUid = () => Number(execFileSync('id', ['-u', 'keyward']));

let dataDir: string;

beforeEach(async () => {
  dataDir = await makeDataDir();
});

afterEach(() => removeDataDir(dataDir));

/** madeByEarlierVersion is a cluster as earlier versions left it, with a row in it. For root it is of `nobody`. */
async function madeByEarlierVersion(): Promise<Cluster> {
  const database = await startEmbeddedPostgres({ dataDir });
  await execute(database.url, 'CREATE TABLE kept (value text)');
  await execute(database.url, "INSERT INTO kept VALUES ('acknowledged')");
  await database.stop();
  const cluster = await openCluster(dataDir, DEFAULT_SETTINGS, { onProgress: ignore, onWarning: ignore });
  if (!isRoot) return cluster;
  execFileSync('chown', ['-R', `${NOBODY.uid}:${NOBODY.gid}`, cluster.path]);
  return { ...cluster, user: NOBODY };
}

async function expectKept(url: string): Promise<void> {
  expect(await execute(url, 'SELECT value FROM kept')).toEqual([{ value: 'acknowledged' }]);
}

/** ownersIn are the uids of everything in a directory. */
async function ownersIn(directory: string): Promise<number[]> {
  const owners = new Set([(await lstat(directory)).uid]);
  for (const name of await readdir(directory, { recursive: true })) {
    owners.add((await lstat(join(directory, name))).uid);
  }
  return [...owners];
}

describe('a database that an earlier version made', () => {
  test('listens on its socket alone from now on, by SCRAM alone, although it had a port', async () => {
    const cluster = await madeByEarlierVersion();
    await writeFile(
      join(cluster.path, 'pg_hba.conf'),
      'host all all 127.0.0.1/32 trust\nlocal all all trust\n',
    );
    const database = await startEmbeddedPostgres({ dataDir });
    try {
      await expectKept(database.url);
      expect(await execute(database.url, 'SELECT type, auth_method FROM pg_hba_file_rules')).toEqual([
        { type: 'local', auth_method: 'scram-sha-256' },
      ]);
      expect(await execute(database.url, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '' }]);
    } finally {
      await database.stop();
    }
  });

  test('and whose server a crash left running on a port is stopped and started on the socket', async () => {
    const left = await startTcpPostmaster(await madeByEarlierVersion());
    const database = await startEmbeddedPostgres({ dataDir });
    try {
      expect(isAlive(left.pid)).toBe(false);
      await expectKept(database.url);
      await expect(execute(left.url, 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    } finally {
      await database.stop();
    }
  });

  test('is left alone while a Keyward of that version uses it, and the message says what to do', async () => {
    const left = await startTcpPostmaster(await madeByEarlierVersion());
    // As that Keyward does, on the database where locks are counted.
    const user = new pg.Client({ connectionString: left.url.replace(/keyward$/, 'postgres') });
    user.on('error', ignore);
    await user.connect();
    await user.query('SELECT pg_advisory_lock_shared(30229394876363364)');
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow(/A Keyward of an earlier version uses/);
    expect(isAlive(left.pid)).toBe(true);
    await user.end();
    await left.kill();
  });
});

describe.runIf(isRoot)('a database that an earlier version made for root, as nobody', () => {
  test('is given to the system user of its own, with all its files, and that is said in one line', async () => {
    const { path } = await madeByEarlierVersion();
    const lines: string[] = [];
    const database = await startEmbeddedPostgres({ dataDir, onProgress: (line) => lines.push(line) });
    try {
      await expectKept(database.url);
      expect(await ownersIn(path)).toEqual([keywardUid()]);
      const uid = new RegExp(`^Uid:\\s+${keywardUid()}\\s`, 'm');
      expect(await readFile(`/proc/${await postmasterOf(dataDir)}/status`, 'utf8')).toMatch(uid);
      expect(lines).toEqual([
        expect.stringMatching(/^The database, until now of uid 65534, runs as the system user/),
      ]);
    } finally {
      await database.stop();
    }
  });

  test('is given over by two that start at the same moment, and is one database', async () => {
    await madeByEarlierVersion();
    const [one, other] = await Promise.all([startOwner(dataDir), startOwner(dataDir)]);
    expect(one.url).toBe(other.url);
    await expectKept(one.url);
    await Promise.all([one.stop(), other.stop()]);
  });

  test('is given over in the end when that was cut short', async () => {
    const { path } = await madeByEarlierVersion();
    await chown(path, keywardUid(), keywardUid());
    const database = await startEmbeddedPostgres({ dataDir });
    await expectKept(database.url);
    await database.stop();
    expect(await ownersIn(path)).toEqual([keywardUid()]);
  });

  test('is not given over while its server runs', async () => {
    const cluster = await madeByEarlierVersion();
    const left = await startTcpPostmaster(cluster);
    expect(await handOver(cluster.path, { uid: keywardUid(), gid: keywardUid() })).toBe(false);
    expect((await stat(cluster.path)).uid).toBe(NOBODY.uid);
    await left.kill();
  });

  test('takes nothing of root’s along that its old user linked into it', async () => {
    const { path } = await madeByEarlierVersion();
    const rootOwned = join(dataDir, 'of-root');
    await writeFile(rootOwned, 'secret', { mode: 0o600 });
    await symlink(rootOwned, join(path, 'base', 'link'));
    await symlink(dataDir, join(path, 'base', 'folder'));
    // A hard link needs the same file system.
    const sibling = `${path}.of-root`;
    await writeFile(sibling, 'secret', { mode: 0o600 });
    await link(sibling, join(path, 'base', 'hard-link'));
    try {
      expect(await handOver(path, { uid: keywardUid(), gid: keywardUid() })).toBe(true);
      for (const file of [rootOwned, sibling, dataDir]) expect((await stat(file)).uid).toBe(0);
    } finally {
      await unlink(sibling);
    }
  });
});

test('files that others can read or change stop the start, and the message says what to do', async () => {
  await (await startEmbeddedPostgres({ dataDir })).stop();
  const password = join(dataDir, 'postgres-password');
  const cluster = (await clusterOf(dataDir)) ?? '';
  for (const [path, mode, good, words] of [
    [password, 0o644, 0o600, 'chmod 600'],
    [cluster, 0o750, 0o700, 'chmod 700'],
    [dataDir, 0o777, 0o700, 'chmod go-w'],
  ] as const) {
    execFileSync('chmod', [mode.toString(8), path]);
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow(words);
    execFileSync('chmod', [good.toString(8), path]);
  }
  await rm(password);
  await symlink('/etc/hostname', password);
  await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow('no regular file');
});
