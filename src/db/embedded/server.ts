import { execFile, spawn } from 'node:child_process';
import { open, readFile, readlink, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Cluster } from './cluster.js';
import { hasCode } from './errors.js';
import { asArguments, programSurroundings, type Settings } from './program.js';

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
export interface Postmaster {
  readonly pid: number;
  /** port on 127.0.0.1; absent in the first moments of a start. */
  readonly port: number | undefined;
}

/** PidFile is the content of `postmaster.pid`, and whether the process it names is the cluster's postmaster. */
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
  return { text, pid, port, isRunning: await isPostmaster(pid, cluster) };
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
 * discardStalePidFile removes the pid file of a postmaster that is gone. PostgreSQL does so itself when no
 * process has that id any more, but refuses to start when another process got the id, as happens in
 * containers. Should a postmaster start in this very moment, two servers are still impossible: PostgreSQL
 * holds a shared memory segment per data directory, and a second one gives up on finding it in use.
 */
export async function discardStalePidFile(cluster: string, stale: PidFile): Promise<void> {
  const present = await readPidFile(cluster);
  if (present && !present.isRunning && present.text === stale.text) {
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
 * isPostmaster tells whether a process is the postmaster of this cluster and not one that got its id later.
 * A postmaster works in its data directory; where there is no /proc, its command line names it.
 */
async function isPostmaster(pid: number, cluster: string): Promise<boolean> {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    if (process.platform === 'linux') return (await readlink(`/proc/${pid}/cwd`)) === cluster;
    const { stdout } = await promisify(execFile)('ps', ['-p', String(pid), '-o', 'command=']);
    return stdout.includes(cluster);
  } catch (error) {
    // Gone (ps: status 1), ended but not yet collected, or of a user who is not the cluster's.
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM', '1')) return false;
    throw error;
  }
}

function pidFileOf(cluster: string): string {
  return join(cluster, 'postmaster.pid');
}
