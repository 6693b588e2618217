import { mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** makeDataDir makes an empty data directory of the test's own. */
export function makeDataDir(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'keyward-test-'));
}

/** removeDataDir removes a data directory and the cluster behind it, which for root lies elsewhere. */
export async function removeDataDir(dataDir: string): Promise<void> {
  const cluster = await clusterOf(dataDir);
  if (cluster !== undefined) await rm(cluster, { recursive: true, force: true });
  await rm(dataDir, { recursive: true, force: true });
}

/** clusterOf is the real path of a data directory's cluster, or undefined where there is none. */
export async function clusterOf(dataDir: string): Promise<string | undefined> {
  return realpath(join(dataDir, 'postgres')).catch(() => undefined);
}

/** unfinishedIn lists what creations of a cluster have not finished, in a data directory and where root's lie. */
export async function unfinishedIn(dataDir: string): Promise<string[]> {
  const directories = process.getuid?.() === 0 ? [dataDir, '/var/lib/keyward'] : [dataDir];
  const names = await Promise.all(directories.map((directory) => readdir(directory).catch(() => [])));
  return names.flat().filter((name) => name.includes('.unfinished-'));
}
