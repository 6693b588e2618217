import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from '../../src/db/embedded/cluster.js';
import { asArguments, programSurroundings, type Settings } from '../../src/db/embedded/program.js';
import { DEFAULT_SETTINGS } from '../../src/db/embedded/server.js';
import { untilGone } from './postmaster.js';
import { execute } from './sql.js';
import { freePort } from './free-port.js';

/** TcpPostmaster is a PostgreSQL that listens on a port, as those of other people do, and those of earlier Keywards did. */
export interface TcpPostmaster {
  readonly pid: number;
  readonly port: number;
  /** url leads to it by way of 127.0.0.1, with its password. */
  readonly url: string;
  /** kill ends it with SIGKILL. */
  kill(): Promise<void>;
}

/** startTcpPostmaster starts one on a cluster that has none, and waits until it answers. */
export async function startTcpPostmaster(cluster: Cluster, settings: Settings = {}): Promise<TcpPostmaster> {
  const rules = join(cluster.path, 'pg_hba.conf');
  await writeFile(rules, 'local all all scram-sha-256\nhost all all all scram-sha-256\n');
  if (cluster.user) await chown(rules, cluster.user.uid, cluster.user.gid);
  const port = await freePort();
  const all = {
    ...DEFAULT_SETTINGS,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port: String(port),
    ...settings,
  };
  const child = spawn(cluster.binaries.postgres, ['-D', cluster.path, ...asArguments(all)], {
    ...programSurroundings(cluster.user),
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  const url = `postgres://keyward:${cluster.password}@127.0.0.1:${port}/keyward`;
  for (let waited = 0; !(await answers(url)); waited += 50) {
    if (waited > 20_000 || child.exitCode !== null) throw new Error(`PostgreSQL does not start: ${log}`);
    await delay(50);
  }
  return {
    pid,
    port,
    url,
    kill: async () => {
      process.kill(pid, 'SIGKILL');
      await untilGone(pid);
    },
  };
}

async function answers(url: string): Promise<boolean> {
  return execute(url, 'SELECT 1').then(
    () => true,
    () => false,
  );
}
