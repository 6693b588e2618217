import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startEmbeddedPostgres } from '../../src/db/embedded-postgres.js';
import { databaseUser } from '../../src/db/embedded/system-user.js';
import { migrate } from '../../src/db/migrate.js';
import { clusterOf, makeDataDir, removeDataDir } from '../support/data-dir.js';
import { keyward, runKeyward } from '../support/keyward-command.js';
import { isAlive } from '../support/postmaster.js';
import { execute } from '../support/sql.js';

const OLD = '/usr/lib/postgresql/15/bin';
const isRoot = process.getuid?.() === 0;
const QUICK = { fsync: 'off' };

vi.setConfig({ testTimeout: 120_000 });

let dataDir: string;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  dataDir = await makeDataDir();
  env = { KEYWARD_DATA_DIR: dataDir, KEYWARD_LISTEN: '127.0.0.1:0', DATABASE_URL: '' };
});

afterEach(async () => {
  for (const name of (await readdir(dataDir)).filter((each) => /^postgres-\d+$/.test(each))) {
    await rename(join(dataDir, name), join(dataDir, 'postgres-aside'));
    await rm(join(dataDir, 'postgres-aside'), { recursive: true, force: true });
  }
  await removeDataDir(dataDir);
});

/** makeOldCluster makes what a Keyward that brought PostgreSQL 15 would have left, with a row in it. */
async function makeOldCluster(): Promise<void> {
  const password = randomBytes(12).toString('hex');
  await writeFile(join(dataDir, 'postgres-password'), `${password}\n`, { mode: 0o600 });
  const user = isRoot ? await databaseUser(() => undefined) : undefined;
  const as = user === undefined ? {} : { uid: user.uid, gid: user.gid };
  const path = isRoot ? `/var/lib/keyward/${randomBytes(8).toString('hex')}` : join(dataDir, 'postgres');
  await mkdir(path, { recursive: true, mode: 0o700 });
  const file = `${path}.password`;
  await writeFile(file, password, { mode: 0o600 });
  if (user !== undefined) for (const each of [path, file]) await chown(each, user.uid, user.gid);
  const options = [
    '--username=keyward',
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
  ];
  execFileSync(join(OLD, 'initdb'), [`--pgdata=${path}`, `--pwfile=${file}`, ...options], {
    ...as,
    cwd: '/',
  });
  await rm(file);
  const server = spawn(
    join(OLD, 'postgres'),
    ['-D', path, '-c', 'listen_addresses=', '-c', `unix_socket_directories=${path}`, '-c', 'port=5432'],
    { ...as, cwd: '/', stdio: 'ignore' },
  );
  const at = (database: string) => `postgres://keyward:${password}@${encodeURIComponent(path)}/${database}`;
  await vi.waitFor(() => execute(at('postgres'), 'CREATE DATABASE keyward'), {
    timeout: 30_000,
    interval: 100,
  });
  await migrate(at('keyward'));
  await execute(at('keyward'), "CREATE TABLE kept AS SELECT 'acknowledged' AS value");
  server.kill('SIGINT');
  await once(server, 'close');
  if (isRoot) await symlink(path, join(dataDir, 'postgres'));
}

test.runIf(existsSync(OLD))(
  'a cluster of another version is told so at once, and upgrade-database takes all of it along',
  async () => {
    await makeOldCluster();
    const told = await runKeyward(['serve'], { env });
    expect(told.code).toBe(1);
    expect(told.stderr).toMatch(
      /^keyward: The database in \S+ is of PostgreSQL 15, and this Keyward brings PostgreSQL \d+\. [^\n]*"keyward upgrade-database"[^\n]*\n$/,
    );
    expect(await keyward(['upgrade-database'], { env })).toMatch(
      /^The database is of PostgreSQL (?!15)\d+ now/,
    );
    expect(await keyward(['upgrade-database'], { env })).toMatch(/already\.\n$/);
    expect((await readFile(join(dataDir, 'postgres-15', 'PG_VERSION'), 'utf8')).trim()).toBe('15');

    const database = await startEmbeddedPostgres({ dataDir, settings: QUICK });
    try {
      expect((await migrate(database.url)).applied).toEqual([]);
      expect(await execute(database.url, 'SELECT value FROM kept')).toEqual([{ value: 'acknowledged' }]);
    } finally {
      await database.stop();
    }

    // As if the upgrade had been cut short between its last two steps.
    const upgraded = (await clusterOf(dataDir)) ?? '';
    await rm(join(dataDir, 'postgres'), { recursive: true });
    const cut = await runKeyward(['serve'], { env });
    expect(cut.stderr).toMatch(
      /^keyward: An upgrade of the database in \S+ was cut short: run "keyward upgrade-database" again/,
    );
    if (isRoot) await rm(upgraded, { recursive: true });
    await keyward(['upgrade-database', '--old-programs', OLD], { env });
    expect(await readdir(dataDir)).toContain('postgres');
  },
);

/** programsThatHang is a directory of programs that dump nothing and do not end, and the file that tells who hangs. */
async function programsThatHang(): Promise<{ readonly directory: string; readonly hanging: string }> {
  const directory = join(dataDir, 'programs');
  const hanging = join(directory, 'hanging');
  await mkdir(directory);
  await symlink(join(OLD, 'psql'), join(directory, 'psql'));
  const real = join(OLD, 'pg_dump');
  const script = `#!/bin/sh\n[ "$1" = --version ] && exec ${real} --version\necho $$ > ${hanging}\nexec sleep 600\n`;
  await writeFile(join(directory, 'pg_dump'), script, { mode: 0o755 });
  return { directory, hanging };
}

/** leftBehind are the files, and the server, that an upgrade which was broken off must not leave. */
async function leftBehind(maker: number, before: readonly string[]): Promise<string[]> {
  const cluster = (await clusterOf(dataDir)) ?? '';
  const beside = isRoot ? await readdir('/var/lib/keyward') : [];
  return [
    ...(await readdir(dataDir)).filter((name) => !before.includes(name) && name !== 'postgres.log'),
    ...beside.filter((name) => name.includes(`unfinished-${maker}-`)),
    ...(existsSync(join(cluster, 'postmaster.pid')) ? ['a server of the old version'] : []),
  ];
}

test.runIf(existsSync(OLD))(
  'an upgrade ends by a signal or when its time is up, leaves nothing behind, and can be done afterwards',
  async () => {
    await makeOldCluster();
    const { directory, hanging } = await programsThatHang();
    const before = await readdir(dataDir);
    const args = ['upgrade-database', '--old-programs', directory];
    const child = spawn(process.execPath, ['dist/cli/main.js', ...args], { env: { ...process.env, ...env } });
    const closed = once(child, 'close');
    const said = text(child.stderr);
    const dump = await vi.waitFor(
      async () => Number((await readFile(hanging, 'utf8')).trim() || 'none yet'),
      {
        timeout: 60_000,
      },
    );
    child.kill('SIGINT');
    expect((await closed)[0]).toBe(1);
    expect(await said).toMatch(/\nkeyward: broken off by SIGINT\n$/);
    expect(isAlive(dump)).toBe(false);
    await rm(hanging);
    expect(await leftBehind(child.pid ?? 0, before)).toEqual([]);

    const { code, stderr } = await runKeyward([...args, '--time-limit', '0.001'], { env });
    expect(code).toBe(1);
    expect(stderr).toMatch(/keyward: The upgrade was not done within 0\.001 minutes\.\n$/);
    expect(await leftBehind(process.pid, before)).toEqual([]);

    expect(await keyward(['upgrade-database'], { env })).toMatch(
      /^The database is of PostgreSQL (?!15)\d+ now/,
    );
  },
);

test('where the programs of the other version are not there, it says which, and changes nothing', async () => {
  await (await startEmbeddedPostgres({ dataDir, settings: QUICK })).stop();
  const file = join((await clusterOf(dataDir)) ?? '', 'PG_VERSION');
  await writeFile(file, '13\n');
  const { code, stderr } = await runKeyward(['upgrade-database'], { env });
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^keyward: [^\n]*were not found: postgres of version 13[^\n]*Nothing was changed[^\n]*\n$/,
  );
  expect(await readFile(file, 'utf8')).toBe('13\n');
});

test('a pid file that names another program’s PostgreSQL is not believed, and that server is left alone', async () => {
  const other = await makeDataDir();
  const theirs = await startEmbeddedPostgres({ dataDir: other, settings: QUICK });
  try {
    await (await startEmbeddedPostgres({ dataDir, settings: QUICK })).stop();
    const [own, their] = [(await clusterOf(dataDir)) ?? '', (await clusterOf(other)) ?? ''];
    // What a crash left, when another server has got the process id.
    const [pid, , ...rest] = (await readFile(join(their, 'postmaster.pid'), 'utf8')).split('\n');
    const stale = [pid, own, ...rest].join('\n').replaceAll(their, own);
    await writeFile(join(own, 'postmaster.pid'), stale);
    await writeFile(join(own, '.s.PGSQL.5432.lock'), stale);
    const database = await startEmbeddedPostgres({ dataDir, settings: QUICK });
    expect(await execute(database.url, 'SHOW data_directory')).toEqual([{ data_directory: own }]);
    await database.stop();
    expect(await execute(theirs.url, 'SHOW data_directory')).toEqual([{ data_directory: their }]);
  } finally {
    await theirs.stop();
    await removeDataDir(other);
  }
});

test('the reason of a start that fails is in the one line that is printed', async () => {
  await (await startEmbeddedPostgres({ dataDir, settings: QUICK })).stop();
  const conf = join((await clusterOf(dataDir)) ?? '', 'postgresql.conf');
  await writeFile(conf, "no_such_setting = 'canary'\n", { flag: 'a' });
  const { code, stderr } = await runKeyward(['migrate'], { env });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^keyward: The embedded database does not start: [^\n]*no_such_setting[^\n]*\n$/);
});

test('whatever the environment says, the embedded database is reached, and read as it is', async () => {
  const hostile = {
    ...{ PGHOST: 'db.invalid', PGPORT: '1', PGUSER: 'nobody', PGPASSWORD: 'wrong', PGDATABASE: 'none' },
    ...{
      PGSSLMODE: 'verify-full',
      PGSSLNEGOTIATION: 'direct',
      PGSSLROOTCERT: '/nowhere',
      PGREPLICATION: 'true',
    },
    ...{ PGOPTIONS: '-c default_transaction_read_only=on', PGCLIENT_ENCODING: 'LATIN1', PGTZ: 'Asia/Tokyo' },
    ...{ PGDATA: '/nowhere', PGDATESTYLE: 'SQL', PGAPPNAME: 'x', PGBINARY: 'true', PGCONNECT_TIMEOUT: '1' },
  };
  await keyward(['migrate'], { env: { ...env, ...hostile } });
  for (const [variable, value] of Object.entries(hostile)) vi.stubEnv(variable, value);
  try {
    const database = await startEmbeddedPostgres({ dataDir, settings: QUICK });
    await execute(database.url, "CREATE TABLE written AS SELECT 'größer 😀' AS value");
    expect(await execute(database.url, 'SELECT value FROM written')).toEqual([{ value: 'größer 😀' }]);
    await database.stop();
  } finally {
    vi.unstubAllEnvs();
  }
});
