import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { execute } from './sql.js';
import { freePort } from './free-port.js';

/** NOBODY runs the pooler where the tests run as root: PgBouncer refuses to. */
const NOBODY = 65534;

/** Another than the installed one, if it is named. */
const PROGRAM = process.env['KEYWARD_TEST_PGBOUNCER'] ?? 'pgbouncer';

export interface PgBouncer {
  /** url leads to the database by way of the pooler. */
  readonly url: string;
  stop(): Promise<void>;
}

/** hasPgBouncer tells whether PgBouncer is installed here. */
export function hasPgBouncer(): boolean {
  return spawnSync(PROGRAM, ['--version']).status === 0;
}

/** knowsPreparedStatements tells whether it is one that carries prepared statements from one session to another. */
export function knowsPreparedStatements(): boolean {
  const { stdout } = spawnSync(PROGRAM, ['--version'], { encoding: 'utf8' });
  const [, major = '0', minor = '0'] = /PgBouncer (\d+)\.(\d+)/.exec(stdout) ?? [];
  return Number(major) > 1 || Number(minor) >= 21;
}

/**
 * startPgBouncer starts a pooler with the settings of its package, which refuses parameters that it does not carry.
 * `databaseUrl` must be one with a port.
 */
export async function startPgBouncer(
  databaseUrl: string,
  poolMode: 'transaction' | 'session',
  settings: Readonly<Record<string, string | number>> = {},
): Promise<PgBouncer> {
  const { hostname, port, username, password, pathname } = new URL(databaseUrl);
  const directory = await mkdtemp(join(tmpdir(), 'keyward-pgbouncer-'));
  const listenPort = await freePort();
  const users = join(directory, 'users');
  const file = join(directory, 'pgbouncer.ini');
  const all = {
    listen_addr: '127.0.0.1',
    listen_port: listenPort,
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: users,
    pool_mode: poolMode,
    default_pool_size: 4,
    max_client_conn: 200,
    ...settings,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
  await writeFile(users, `"${username}" "${password}"\n`);
  await writeFile(file, `[databases]\n* = host=${hostname} port=${port}\n[pgbouncer]\n${lines.join('\n')}\n`);
  const asRoot = process.getuid?.() === 0;
  if (asRoot) for (const path of [directory, users, file]) await chown(path, NOBODY, NOBODY);
  const pooler = spawn(PROGRAM, [file], {
    ...(asRoot ? { uid: NOBODY, gid: NOBODY } : {}),
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  pooler.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const exited = once(pooler, 'exit');
  const url = `postgres://${username}:${password}@127.0.0.1:${listenPort}${pathname}`;
  const stop = async (): Promise<void> => {
    pooler.kill('SIGKILL');
    await exited;
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await vi.waitFor(() => execute(url, 'SELECT 1'), { timeout: 20_000, interval: 50 });
  } catch (error) {
    await stop();
    throw new Error(`PgBouncer does not answer: ${log}`, { cause: error });
  }
  return { url, stop };
}
