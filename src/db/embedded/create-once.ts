import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasCode } from '../../lib/errno.js';
import { isAlive } from './program.js';

/** SCRATCH_NAME is how whatever is still being made is called; the number is the process that makes it. */
const SCRATCH_NAME = /\.unfinished-(\d+)-/;

/**
 * createDirectoryOnce makes a directory that is either absent or complete, whoever is killed meanwhile:
 * `fill` works on a scratch directory, which a rename then publishes. Of several makers at the same moment
 * one wins and the others discard their copy. No lock is needed, so none can be left behind.
 *
 * @returns true when this call's copy is the one in place
 */
export async function createDirectoryOnce(
  path: string,
  fill: (scratch: string) => Promise<void>,
): Promise<boolean> {
  const scratch = scratchName(path);
  await discardAbandoned(dirname(path));
  await mkdir(scratch, { mode: 0o700 });
  try {
    await fill(scratch);
    await rename(scratch, path);
  } catch (error) {
    await rm(scratch, { recursive: true, force: true });
    if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) return false;
    throw error;
  }
  await syncDirectory(dirname(path));
  return true;
}

/** createFileOnce writes a private file (0600) that is either absent or complete; an existing one is kept. */
export async function createFileOnce(path: string, content: string): Promise<void> {
  const scratch = scratchName(path);
  await writeFile(scratch, content, { mode: 0o600, flag: 'wx', flush: true });
  try {
    await link(scratch, path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    await unlink(scratch);
  }
  await syncDirectory(dirname(path));
}

/** syncDirectory makes the names in a directory survive a power failure. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function scratchName(path: string): string {
  return `${path}.unfinished-${process.pid}-${randomBytes(8).toString('hex')}`;
}

/** discardAbandoned removes what makers that were killed left in a directory. */
async function discardAbandoned(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const maker = SCRATCH_NAME.exec(name)?.[1];
    if (maker === undefined || isAlive(Number(maker))) continue;
    // A program that the maker had started may live a moment longer and still be writing: hence the retries.
    await rm(join(directory, name), { recursive: true, force: true, maxRetries: 5 });
  }
}
