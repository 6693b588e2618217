import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { unfinishedIn } from './data-dir.js';

export const MAIN = fileURLToPath(new URL('embedded-owner-main.mjs', import.meta.url));

const Started = z.object({ url: z.string(), created: z.boolean() });

/** Owner is another process that uses an embedded database. */
export interface Owner {
  readonly url: string;
  readonly created: boolean;
  /** interruptGroup does what Ctrl-C in a terminal does, and gives the owner's next line. */
  interruptGroup(): Promise<unknown>;
  /** stop lets it end in order, and gives its exit status. */
  stop(): Promise<number | null>;
  /** kill ends it with SIGKILL. */
  kill(): Promise<void>;
  /** exited gives its exit status once it has ended. */
  readonly exited: Promise<number | null>;
}

/**
 * killOwnerDuringCreation starts such a process and kills it once it has begun to make the cluster; it gives the
 * mark in the names of what that process had not finished.
 */
export async function killOwnerDuringCreation(dataDir: string): Promise<string> {
  const child = spawnOwner(dataDir);
  const exited = once(child, 'exit');
  const mine = `.unfinished-${child.pid}-`;
  // The password file lies beside the scratch directory exactly while initdb runs.
  while (!(await unfinishedIn(dataDir)).some((name) => name.includes(mine) && name.endsWith('.password'))) {
    await delay(5);
  }
  child.kill('SIGKILL');
  await exited;
  return mine;
}

/** startOwner starts such a process, in a process group of its own, and waits until it has the database. */
export async function startOwner(dataDir: string, uid?: number): Promise<Owner> {
  const child = spawnOwner(dataDir, uid);
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const exited = once(child, 'exit').then((exit: readonly unknown[]) => exit[0] as number | null);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const nextLine = async (): Promise<unknown> => {
    const next = await lines.next();
    if (next.done === true) throw new Error(`The owner of the database ended: ${errors}`);
    return JSON.parse(next.value);
  };

  const { url, created } = Started.parse(await nextLine());
  return {
    url,
    created,
    exited,
    interruptGroup: async () => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
      return nextLine();
    },
    stop: () => {
      child.kill('SIGTERM');
      return exited;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function spawnOwner(dataDir: string, uid?: number) {
  return spawn(process.execPath, [MAIN, dataDir], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
}
