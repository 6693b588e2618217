import { randomBytes } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { realpath, rename, rm, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { systemTimers } from '../../lib/timers.js';
import { DatabaseClient } from '../database-client.js';
import { prepareBinaries } from './binaries.js';
import {
  asideIn,
  clusterNameIn,
  followLink,
  initialize,
  isPresent,
  majorOf,
  ownerOf,
  readPassword,
  ROOT_HOME,
  type Cluster,
} from './cluster.js';
import { createDirectoryOnce, syncDirectory } from './create-once.js';
import { EmbeddedPostgresError } from './errors.js';
import { USERS_LOCK } from '../advisory-locks.js';
import { findOldPrograms, type OldPrograms } from './old-programs.js';
import { DEFAULT_SETTINGS, readPidFile, spawnPostmaster, stopServer } from './server.js';
import { sizeOf, whyNotStarted } from './server-log.js';
import { prepareSocketDirectory, removeSocketDirectory, SOCKET_PORT, socketUrl } from './socket.js';

export interface UpgradeOptions {
  readonly dataDir: string;
  /** Directory of the programs of the old version; looked for if not given. */
  readonly oldPrograms: string | undefined;
  /** In milliseconds: an upgrade that is not done by then is broken off. */
  readonly limitMs: number;
  /** signal breaks the upgrade off too. */
  readonly signal: AbortSignal;
  readonly onProgress: (line: string) => void;
}

/** Upgraded is what an upgrade did. */
export interface Upgraded {
  readonly from: number;
  readonly to: number;
  /** Where the old cluster lies, as it was; absent if there was nothing to do. */
  readonly aside?: string;
}

/** What each version knows: the old server answers a dump, and nothing else. */
const OLD_SETTINGS = { listen_addresses: '', unix_socket_permissions: '0700' };
const START_LIMIT_MS = 120_000;
const POLL_MS = 50;

/**
 * upgradeCluster makes a cluster of the present version with all that is in the one of another version: it dumps it with
 * the old programs, and restores it side by side. The old cluster is only read, and is kept aside. It can be cut short
 * at any moment and run again; if it is broken off, nothing stays behind.
 *
 * @throws EmbeddedPostgresError with what to do by hand where the old programs are not there
 */
export async function upgradeCluster(options: UpgradeOptions): Promise<Upgraded> {
  const { oldPrograms, onProgress } = options;
  const signal = bounded(options.signal, options.limitMs);
  const dataDir = resolve(options.dataDir);
  const name = clusterNameIn(dataDir);
  const asRoot = process.geteuid?.() === 0;
  const binaries = await prepareBinaries(asRoot ? ROOT_HOME : dataDir, asRoot);
  await bringBack(dataDir);
  const path = await followLink(name);
  const from = await majorOf(path);
  if (from === binaries.major) return { from, to: from };
  const user = await ownerOf(path, asRoot);
  const programs = await requirePrograms(from, binaries.major, oldPrograms, asRoot ? ROOT_HOME : dataDir);
  const password = readPassword(join(dataDir, 'postgres-password'));
  if ((await readPidFile(path))?.isRunning === true) throw inUse(dataDir);
  const log = join(dataDir, 'postgres.log');
  const old = {
    path,
    password,
    user,
    created: false,
    binaries: { ...binaries, postgres: programs.postgres },
  };
  const copy = async (scratch: string): Promise<void> => {
    onProgress(`Making a database of PostgreSQL ${binaries.major} ...`);
    await initialize(scratch, password, binaries, DEFAULT_SETTINGS, user, signal);
    const made = { path: await realpath(scratch), password, binaries, user, created: true };
    onProgress(`Copying everything from PostgreSQL ${from} ...`);
    await withServer(old, OLD_SETTINGS, log, signal, (source) =>
      withServer(made, DEFAULT_SETTINGS, log, signal, (target) =>
        copyAll(programs, password, source, target, signal),
      ),
    );
  };
  const target = asRoot
    ? join(ROOT_HOME, randomBytes(8).toString('hex'))
    : join(dataDir, 'postgres-upgraded');
  await rm(target, { recursive: true, force: true });
  await createDirectoryOnce(target, copy);
  const aside = `${name}-${from}`;
  await rename(name, aside);
  if (asRoot) await symlink(target, name);
  else await rename(target, name);
  await syncDirectory(dataDir);
  return { from, to: binaries.major, aside };
}

/** bounded is a signal that is aborted too when the time is up. */
function bounded(signal: AbortSignal, limitMs: number): AbortSignal {
  const limit = new AbortController();
  const timer = systemTimers.after(limitMs, () => {
    const minutes = limitMs / 60_000;
    limit.abort(new EmbeddedPostgresError(`The upgrade was not done within ${minutes} minutes.`));
  });
  signal.addEventListener('abort', () => timer.cancel());
  return AbortSignal.any([signal, limit.signal]);
}

/** bringBack undoes what an upgrade had put aside when it was cut short. */
async function bringBack(dataDir: string): Promise<void> {
  const name = clusterNameIn(dataDir);
  if (await isPresent(name)) return;
  const aside = await asideIn(dataDir);
  if (aside === undefined) throw new EmbeddedPostgresError(`There is no database in ${dataDir}.`);
  await rename(join(dataDir, aside), name);
}

async function requirePrograms(
  from: number,
  to: number,
  given: string | undefined,
  copies: string,
): Promise<OldPrograms> {
  const { postgres, pgDump, psql } = await findOldPrograms(from, given, copies);
  if (postgres !== undefined && pgDump !== undefined && psql !== undefined) return { postgres, pgDump, psql };
  const missing = [
    ...(postgres === undefined ? [`postgres of version ${from}`] : []),
    ...(pgDump === undefined ? [`pg_dump and psql of version ${from} or later`] : []),
  ];
  throw new EmbeddedPostgresError(
    `To copy the database from PostgreSQL ${from} to ${to}, these programs are needed and were not found: ` +
      `${missing.join('; ')}. Install PostgreSQL ${from} (Debian: postgresql-${from}), ` +
      'and name the directory of its programs with --old-programs if that is an unusual one. ' +
      'Nothing was changed; the Keyward that made the database still runs it.',
  );
}

function inUse(path: string): EmbeddedPostgresError {
  return new EmbeddedPostgresError(`The database in ${path} is in use: stop every Keyward on it first.`);
}

/**
 * withServer runs a cluster's server for as long as something is done, lets no Keyward use it meanwhile, and lends the
 * directory of its socket.
 */
async function withServer(
  cluster: Cluster,
  settings: Readonly<Record<string, string>>,
  logFile: string,
  signal: AbortSignal,
  use: (socketDirectory: string) => Promise<void>,
): Promise<void> {
  signal.throwIfAborted();
  const directory = await prepareSocketDirectory(cluster, undefined);
  const logBegin = await sizeOf(logFile);
  const server = await spawnPostmaster(cluster, settings, directory, logFile);
  let session: DatabaseClient | undefined;
  try {
    const deadline = performance.now() + START_LIMIT_MS;
    while ((session = await openSession(cluster, directory)) === undefined) {
      signal.throwIfAborted();
      if (!server.isRunning() || performance.now() > deadline) {
        const why = (await whyNotStarted(logFile, logBegin)) ?? `see ${logFile}`;
        throw new EmbeddedPostgresError(`${cluster.binaries.postgres} does not start: ${why}.`);
      }
      await delay(POLL_MS);
    }
    const { rows } = await session.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [
      USERS_LOCK,
    ]);
    if (rows[0]?.taken !== true) throw inUse(cluster.path);
    await use(directory);
  } finally {
    await session?.end();
    await stopServer(cluster.path);
    // One that had not come so far as to write its pid file.
    if (server.isRunning()) await server.stopAtOnce();
    await removeSocketDirectory(cluster, directory);
  }
}

/** openSession is undefined while the server does not let anybody in yet. Users of the server are counted in that database. */
async function openSession(cluster: Cluster, directory: string): Promise<DatabaseClient | undefined> {
  const session = new DatabaseClient({
    connectionString: socketUrl(cluster, directory, 'postgres'),
    connectionTimeoutMillis: 5_000,
    limitMs: 10_000,
  });
  session.on('error', () => undefined);
  try {
    await session.connect();
    return session;
  } catch {
    await session.end();
    return undefined;
  }
}

/** copyAll leads a dump of one server into another one, which takes it whole or not at all. Both programs end with the signal. */
async function copyAll(
  { pgDump, psql }: OldPrograms,
  password: string,
  source: string,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const env = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', PGPASSWORD: password };
  const at = (directory: string): string[] => [
    ...['--host', directory, '--port', SOCKET_PORT, '--username', 'keyward', '--no-password'],
  ];
  const dump = spawn(pgDump, [...at(source), '--no-owner', '--no-acl', 'keyward'], { env, cwd: '/' });
  const strict = [
    '--no-psqlrc',
    '--quiet',
    '--set=ON_ERROR_STOP=1',
    '--single-transaction',
    '--output=/dev/null',
  ];
  const restore = spawn(psql, [...at(target), ...strict, 'keyward'], { env, cwd: '/' });
  // The end of one that fails tells what matters.
  restore.stdin.on('error', () => dump.kill());
  const breakOff = (): void => {
    for (const program of [dump, restore]) program.kill('SIGKILL');
  };
  signal.addEventListener('abort', breakOff);
  dump.stdout.pipe(restore.stdin);
  restore.stdout.resume();
  const [dumped, restored] = await Promise.all([failureOf(dump), failureOf(restore)]);
  signal.removeEventListener('abort', breakOff);
  signal.throwIfAborted();
  const failure = restored ?? dumped;
  if (failure !== undefined) throw new EmbeddedPostgresError(`The copy failed: ${failure}`);
}

async function failureOf(child: ChildProcess): Promise<string | undefined> {
  const ended = once(child, 'close') as Promise<[number | null]>;
  const [errors, [code]] = await Promise.all([child.stderr === null ? '' : text(child.stderr), ended]);
  if (code === 0) return undefined;
  return `${child.spawnfile} (${code ?? 'killed'}): ${errors.trim().split('\n', 1)[0] ?? ''}`;
}
