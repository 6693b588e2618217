import { readdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { present } from '../campaign/changes.js';
import type { DurablePostgres } from '../campaign/durable-postgres.js';
import type { Site } from '../campaign/site.js';

/** Resources are what one replica holds. */
export interface Resources {
  /** Bytes that a collection leaves, in the heap and beside it. */
  readonly memory: number;
  readonly resident: number;
  /** Undefined where the system does not tell. */
  readonly descriptors: number | undefined;
  readonly connections: number;
}

/** How much more of each there may be at the end than after the first minute. */
const SHARE = 0.1;
const CALM_LIMIT_MS = 60_000;
const POLL_MS = 1_000;

/** resourcesOf are those of each replica, all of which must run. */
export async function resourcesOf(sites: readonly Site[], postgres: DurablePostgres): Promise<Resources[]> {
  const rows = await postgres.execute(
    'SELECT application_name AS name, count(*)::int AS count FROM pg_stat_activity GROUP BY 1',
  );
  const counts = new Map(rows.map(({ name, count }) => [name, Number(count)]));
  return Promise.all(
    sites.map(async ({ server, poolName, listenerName }) => {
      const { memory, resident } = await present(server).held();
      const descriptors = await openDescriptors(present(server).pid);
      const connections = (counts.get(poolName) ?? 0) + (counts.get(listenerName) ?? 0);
      return { memory, resident, descriptors, connections };
    }),
  );
}

/** resourcesWhenCalm asks until nothing is more than it may be, or for a minute. */
export async function resourcesWhenCalm(
  before: readonly Resources[],
  ask: () => Promise<Resources[]>,
): Promise<Resources[]> {
  const until = performance.now() + CALM_LIMIT_MS;
  for (;;) {
    const now = await ask();
    if (grown(before, now).length === 0 || performance.now() > until) return now;
    await delay(POLL_MS);
  }
}

/** grown tells what is more than it may be. */
export function grown(before: readonly Resources[], after: readonly Resources[]): string[] {
  const names = ['memory', 'resident', 'descriptors', 'connections'] as const;
  return after.flatMap((resources, replica) =>
    names.flatMap((name) => {
      const [was, is] = [before[replica]?.[name] ?? 0, resources[name] ?? 0];
      const most = was * (1 + SHARE);
      return is > most ? [`replica ${replica}: ${name} ${is}, was ${was}`] : [];
    }),
  );
}

async function openDescriptors(pid: number): Promise<number | undefined> {
  return readdir(`/proc/${pid}/fd`).then(
    ({ length }) => length,
    () => undefined,
  );
}
