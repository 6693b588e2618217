import { randomUUID } from 'node:crypto';
import { lstat, rename, rm, writeFile } from 'node:fs/promises';
import { hasCode } from '../db/embedded/errors.js';

/**
 * writePrivately writes a file that only its owner can read, or replaces one as a whole, so that it is never cut
 * short and never keeps a wider mode.
 */
export async function writePrivately(file: string, content: Uint8Array): Promise<void> {
  if (!(await isReplaceable(file))) throw new Error(`${file} is there already and is no regular file`);
  const temporary = `${file}.${randomUUID()}`;
  try {
    await writeFile(temporary, content, { mode: 0o600, flag: 'wx' });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function isReplaceable(file: string): Promise<boolean> {
  try {
    return (await lstat(file)).isFile();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return true;
    throw error;
  }
}
