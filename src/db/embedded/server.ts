import { execFile, spawn } from 'node:child_process';
import { open, readFile, realpath, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { basename, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { hasCode } from '../../lib/errno.js';
import type { Cluster } from './cluster.js';
import { EmbeddedPostgresError } from './errors.js';
import { asArguments, isAlive, programSurroundings, type Settings } from './program.js';
import { SOCKET_PORT, socketPath } from './socket.js';
import { replacePrivately } from '../../lib/private-file.js';

/** DEFAULT_SETTINGS: durable, without a port, small, and silent about what it stores. */
export const DEFAULT_SETTINGS: Settings = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  password_encryption: 'scram-sha-256',
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  max_connections: '200',
  shared_buffers: '64MB',
  max_wal_size: '512MB',
  io_method: 'sync',
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  max_logical_replication_workers: '0',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  // Statements and the DETAIL of errors quote stored values.
  log_error_verbosity: 'terse',
  log_min_error_statement: 'panic',
};

/** HBA lets the database's own user in, by SCRAM over the socket, and nobody else by nothing else. */
const HBA = '# Keyward writes this file whenever it starts the database.\nlocal all all scram-sha-256\n';

/** FAST_STOP_LIMIT_MS is for the checkpoint of an orderly stop; IMMEDIATE_STOP_LIMIT_MS for a stop without. */
const FAST_STOP_LIMIT_MS = 60_000;
const IMMEDIATE_STOP_LIMIT_MS = 10_000;
const POLL_MS = 25;

/** PidFile is the content of `postmaster.pid`: PostgreSQL's first process, and where it listens. */
export interface PidFile {
  readonly text: string;
  readonly pid: number;
  /** Whether the process is the server of this cluster. */
  readonly isRunning: boolean;
  /** directory of its socket; absent in the first moments of a start. */
  readonly socketDirectory: string | undefined;
  /** port on 127.0.0.1 that a server of an earlier Keyward listens on, which has no socket. */
  readonly port: number | undefined;
}

/** readPidFile reads a cluster's `postmaster.pid`: process, port, socket and address are its lines 1, 4, 5 and 6. */
export async function readPidFile(cluster: string): Promise<PidFile | undefined> {
  const text = await readFile(pidFileOf(cluster), 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const [first, , , port, socketDirectory = '', address = ''] = text.split('\n');
  const pid = Number(first);
  return {
    text,
    pid,
    isRunning: await isPostmasterOf(cluster, pid),
    socketDirectory: socketDirectory === '' ? undefined : socketDirectory,
    port: socketDirectory === '' && address !== '' ? Number(port) : undefined,
  };
}

/**
 * spawnPostmaster starts the server in a process group of its own: Ctrl-C in a terminal reaches Keyward alone,
 * which stops the database when it has finished with it.
 *
 * @returns whether the process is still there; it ends by itself when another postmaster has the cluster. Its
 *     `stopAtOnce` resolves when it is gone
 */
export async function spawnPostmaster(
  cluster: Cluster,
  settings: Settings,
  socketDirectory: string,
  logFile: string,
): Promise<{ isRunning(): boolean; stopAtOnce(): Promise<void> }> {
  await writeHba(cluster);
  const where = {
    port: SOCKET_PORT,
    // A list, whose entries are quoted.
    unix_socket_directories: `"${socketDirectory.replaceAll('"', '""')}"`,
  };
  const log = await open(logFile, 'a', 0o600);
  try {
    const child = spawn(
      cluster.binaries.postgres,
      ['-D', cluster.path, ...asArguments({ ...settings, ...where })],
      { ...programSurroundings(cluster.user), stdio: ['ignore', log.fd, log.fd], detached: true },
    );
    await once(child, 'spawn');
    child.unref();
    const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
    return {
      isRunning,
      stopAtOnce: async () => {
        child.kill('SIGQUIT');
        const deadline = performance.now() + IMMEDIATE_STOP_LIMIT_MS;
        while (isRunning() && performance.now() < deadline) await delay(POLL_MS);
      },
    };
  } finally {
    await log.close();
  }
}

/**
 * writeHba replaces the cluster's rules of who may connect, those of an earlier version too. The directory is the
 * database's user's: a file that is there is never written to, wherever it leads.
 */
function writeHba({ path, user }: Cluster): Promise<void> {
  return replacePrivately(join(path, 'pg_hba.conf'), HBA, user);
}

/**
 * discardStaleLocks removes the pid file, and the lock of the socket, of a postmaster that is gone and whose id
 * another process has got, as happens in containers: PostgreSQL would refuse to start. (Where no process has the
 * id it sees to the files itself.) Should a postmaster start in this very moment, two servers are still impossible:
 * PostgreSQL holds a shared memory segment per data directory, and a second one gives up on finding it in use.
 */
export async function discardStaleLocks(
  cluster: string,
  stale: PidFile,
  socketDirectory: string,
): Promise<void> {
  const present = await readPidFile(cluster);
  if (present?.text !== stale.text || present.isRunning || !isAlive(present.pid)) return;
  await rm(pidFileOf(cluster), { force: true });
  await rm(`${socketPath(socketDirectory)}.lock`, { force: true });
}

/** stopServer stops a cluster's server, if it runs. */
export async function stopServer(cluster: string): Promise<void> {
  const server = await readPidFile(cluster);
  if (!server?.isRunning) return;
  const ways = [
    ['SIGINT', FAST_STOP_LIMIT_MS],
    ['SIGQUIT', IMMEDIATE_STOP_LIMIT_MS],
  ] as const;
  for (const [signal, limitMs] of ways) {
    if (await isPostmasterOf(cluster, server.pid)) process.kill(server.pid, signal);
    const deadline = performance.now() + limitMs;
    while (performance.now() < deadline) {
      if (!(await isPostmasterOf(cluster, server.pid))) return;
      await delay(POLL_MS);
    }
  }
  throw new EmbeddedPostgresError(`The embedded database (process ${server.pid}) does not stop.`);
}

/**
 * isPostmasterOf tells whether the process that a pid file names is this cluster's server. It may be another program that
 * got the id later, another program's PostgreSQL, or one that ended and was not collected. (PostgreSQL's other
 * processes show a title in place of the program.) A session then tells for certain whose server it is.
 */
async function isPostmasterOf(cluster: string, pid: number): Promise<boolean> {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  const [program = '', ...args] = await commandOf(pid);
  if (basename(program) !== 'postgres') return false;
  return (await isSame(cluster, `/proc/${pid}/cwd`)) || (await isSame(cluster, dataDirectoryIn(args)));
}

/** dataDirectoryIn is the data directory that a server's arguments name, if they do. */
function dataDirectoryIn(args: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => arg.startsWith('-D'));
  const argument = args[at];
  return argument === '-D' ? args[at + 1] : argument?.slice(2);
}

/** isSame is false too where the path cannot be looked at: that of another user's process, in a container. */
async function isSame(cluster: string, path: string | undefined): Promise<boolean> {
  return path !== undefined && (await realpath(path).catch(() => undefined)) === cluster;
}

/** commandOf is a process's program with its arguments; empty if there is no such process. */
async function commandOf(pid: number): Promise<string[]> {
  try {
    if (process.platform === 'linux') return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    const { stdout } = await promisify(execFile)('ps', ['-p', String(pid), '-ww', '-o', 'args=']);
    return stdout.trim().split(' ');
  } catch (error) {
    // No such file, no such process, or, of ps, status 1.
    if (hasCode(error, 'ENOENT', 'ESRCH', '1')) return [];
    throw error;
  }
}

function pidFileOf(cluster: string): string {
  return join(cluster, 'postmaster.pid');
}
