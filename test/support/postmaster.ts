import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { clusterOf } from './data-dir.js';

/** postmasterOf is the process id in a running cluster's `postmaster.pid`. */
export async function postmasterOf(dataDir: string): Promise<number> {
  const cluster = await clusterOf(dataDir);
  if (cluster === undefined) throw new Error(`no cluster in ${dataDir}`);
  return Number((await readFile(join(cluster, 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

/** isAlive tells whether a process runs. One that has ended does not, whether its parent knows or not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const stat = `/proc/${pid}/stat`;
    return !existsSync(stat) || !readFileSync(stat, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

/** untilGone waits up to 10 seconds for a process to end. */
export async function untilGone(pid: number): Promise<void> {
  for (let waited = 0; isAlive(pid); waited += 20) {
    if (waited > 10_000) throw new Error(`process ${pid} does not end`);
    await delay(20);
  }
}

/** childrenOf lists the processes that a process has started; none where the system does not tell. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}
