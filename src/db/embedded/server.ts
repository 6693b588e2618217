import { execFile, spawn } from 'node:child_process';
import { open, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { Cluster } from './cluster.js';
import { hasCode } from './errors.js';
import { asArguments, isAlive, programSurroundings, type Settings } from './program.js';

/** DEFAULT_SETTINGS: durable, reachable from this machine alone, small, and silent about what it stores. */
export const DEFAULT_SETTINGS: Settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
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

/** Postmaster is PostgreSQL's first process, as its `postmaster.pid` describes it. */
interface Postmaster {
  readonly pid: number;
  /** port on 127.0.0.1; absent in the first moments of a start. */
  readonly port: number | undefined;
}

/** PidFile is the content of `postmaster.pid`, and whether the process it names runs PostgreSQL. */
export interface PidFile extends Postmaster {
  readonly text: string;
  readonly isRunning: boolean;
}

/** readPidFile reads a cluster's `postmaster.pid`; line 1 is the process, line 4 the port. */
export async function readPidFile(cluster: string): Promise<PidFile | undefined> {
  const text = await readFile(pidFileOf(cluster), 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  const port = Number(lines[3]) || undefined;
  return { text, pid, port, isRunning: await isPostmaster(pid) };
}

/**
 * spawnPostmaster starts the server in a process group of its own: Ctrl-C in a terminal reaches Keyward alone,
 * which stops the database when it has finished with it.
 *
 * @returns whether the process is still there; it ends by itself when another postmaster has the cluster
 */
export async function spawnPostmaster(
  cluster: Cluster,
  settings: Settings,
  port: number,
  logFile: string,
): Promise<{ isRunning(): boolean; stopAtOnce(): void }> {
  const log = await open(logFile, 'a', 0o600);
  try {
    const child = spawn(
      cluster.binaries.postgres,
      ['-D', cluster.path, ...asArguments({ ...settings, port: String(port) })],
      { ...programSurroundings(cluster.user), stdio: ['ignore', log.fd, log.fd], detached: true },
    );
    await once(child, 'spawn');
    child.unref();
    return {
      isRunning: () => child.exitCode === null && child.signalCode === null,
      stopAtOnce: () => void child.kill('SIGQUIT'),
    };
  } finally {
    await log.close();
  }
}

/**
 * discardStalePidFile removes the pid file of a postmaster that is gone and whose id another process has got,
 * as happens in containers: PostgreSQL would refuse to start. (Where no process has the id it sees to the file
 * itself.) Should a postmaster start in this very moment, two servers are still impossible: PostgreSQL
 * holds a shared memory segment per data directory, and a second one gives up on finding it in use.
 */
export async function discardStalePidFile(cluster: string, stale: PidFile): Promise<void> {
  const present = await readPidFile(cluster);
  if (present?.text === stale.text && !present.isRunning && isAlive(present.pid)) {
    await rm(pidFileOf(cluster), { force: true });
  }
}

/** freePort finds a port of 127.0.0.1 that is free now, `preferred` if it is. */
export async function freePort(preferred?: number): Promise<number> {
  const probe = createServer();
  try {
    probe.listen(preferred ?? 0, '127.0.0.1');
    await once(probe, 'listening');
  } catch (error) {
    if (preferred !== undefined && hasCode(error, 'EADDRINUSE')) return freePort();
    throw error;
  }
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');
  return address.port;
}

/**
 * isPostmaster tells whether the process that a pid file names is a PostgreSQL server, and not another program
 * that got the id later, or one that ended and was not collected. (PostgreSQL's other processes show a title
 * in place of the program.) A session then tells whose server it is.
 */
export async function isPostmaster(pid: number): Promise<boolean> {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  return basename((await programOf(pid)) ?? '') === 'postgres';
}

/** programOf is the path of a process's program, or undefined if there is no such process. */
async function programOf(pid: number): Promise<string | undefined> {
  try {
    // Not /proc/PID/exe or cwd: in a container even root may not read those of another user's process.
    if (process.platform === 'linux') return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0')[0];
    const { stdout } = await promisify(execFile)('ps', ['-p', String(pid), '-o', 'comm=']);
    return stdout.trim();
  } catch (error) {
    // No such file, no such process, or, of ps, status 1.
    if (hasCode(error, 'ENOENT', 'ESRCH', '1')) return undefined;
    throw error;
  }
}

function pidFileOf(cluster: string): string {
  return join(cluster, 'postmaster.pid');
}
