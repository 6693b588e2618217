import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { vi } from 'vitest';
import { IS_FULL } from './extent.js';
import { freePort } from './free-port.js';

/** NOBODY runs the server where the tests run as root: MariaDB refuses to. */
const NOBODY = 65534;

export interface MariaDb {
  /** createDatabase makes a database of these statements, in UTC or not: the server's zone is far from it. */
  createDatabase(name: string, sql: string): Promise<string>;
  run(url: string, sql: string): Promise<void>;
  readonly pid: number;
  stop(): Promise<void>;
}

/** whyNoMariaDb tells why nothing is tested with MariaDB; undefined where it is. */
export function whyNoMariaDb(): string | undefined {
  if (!IS_FULL) return 'npm run test:full does';
  const isInstalled =
    spawnSync('mariadbd', ['--version']).status === 0 &&
    spawnSync('mariadb-install-db', ['--help']).error === undefined;
  return isInstalled ? undefined : 'no mariadbd and mariadb-install-db on PATH';
}

/** hasMariaDb tells whether something is to be tested with MariaDB. */
export function hasMariaDb(): boolean {
  return whyNoMariaDb() === undefined;
}

/** startMariaDb starts a private server on a free port of 127.0.0.1. */
export async function startMariaDb(): Promise<MariaDb> {
  const directory = await mkdtemp(join(tmpdir(), 'keyward-mariadb-'));
  const asRoot = process.getuid?.() === 0;
  if (asRoot) await chown(directory, NOBODY, NOBODY);
  const user = asRoot ? { uid: NOBODY, gid: NOBODY } : {};
  // A server that starts clears its temporary directory, which must not be another's.
  const common = ['--no-defaults', `--datadir=${join(directory, 'data')}`, `--tmpdir=${directory}`];
  const install = spawnSync(
    'mariadb-install-db',
    [...common, '--auth-root-authentication-method=normal', '--skip-test-db'],
    { ...user, cwd: directory },
  );
  if (install.status !== 0) throw new Error(`mariadb-install-db failed: ${install.stderr.toString()}`);

  const port = await freePort();
  const socket = join(directory, 'socket');
  const server = spawn(
    'mariadbd',
    [
      ...common,
      `--port=${port}`,
      `--socket=${socket}`,
      `--pid-file=${join(directory, 'pid')}`,
      '--bind-address=127.0.0.1',
      '--skip-log-bin',
      '--default-time-zone=+05:45',
    ],
    { ...user, cwd: directory, stdio: 'ignore' },
  );
  const exited = once(server, 'exit');
  const urlOf = (name: string) => `mariadb://root@127.0.0.1:${port}/${name}`;
  const run = async (url: string, sql: string) => {
    const connection = await mysql.createConnection({
      uri: url.replace('mariadb:', 'mysql:'),
      multipleStatements: true,
      charset: 'utf8mb4',
    });
    await connection.query(sql);
    await connection.end();
  };
  await vi.waitFor(() => run(urlOf('mysql'), 'SELECT 1'), { timeout: 20_000, interval: 100 });
  return {
    createDatabase: async (name, sql) => {
      await run(urlOf('mysql'), `CREATE DATABASE ${name}`);
      await run(urlOf(name), sql);
      return urlOf(name);
    },
    run,
    pid: server.pid ?? 0,
    stop: async () => {
      server.kill('SIGKILL');
      await exited;
      await rm(directory, { recursive: true });
    },
  };
}
