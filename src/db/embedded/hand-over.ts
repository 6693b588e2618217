import { constants } from 'node:fs';
import { chown, lstat, open, readdir, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../../lib/errno.js';
import type { SystemUser } from './program.js';
import { readPidFile } from './server.js';

/** LAST is handed over last: PostgreSQL does not start before it can read it. */
const LAST = 'PG_VERSION';

/**
 * handOver gives a cluster of another user (of `nobody`, in earlier versions) to the database's user, unless a
 * server runs on it. It may be cut short at any moment and run by several at once: the directory itself changes
 * hands first, so that no server of the old owner's can start any more, and `PG_VERSION` last, so that none of the
 * new one's can start before.
 *
 * @returns whether the cluster belongs to the user now
 */
export async function handOver(path: string, user: SystemUser): Promise<boolean> {
  const last = join(path, LAST);
  const [directory, version] = [await stat(path), await lstat(last)];
  if (directory.uid === user.uid && version.uid === user.uid) return true;
  if ((await readPidFile(path))?.isRunning === true) return false;
  await chown(path, user.uid, user.gid);
  // One that started meanwhile has its file there already: from now on it could not make it.
  if ((await readPidFile(path))?.isRunning === true) {
    // Unless another process has handed the cluster over, and started its server.
    if ((await lstat(last)).uid !== user.uid) await chown(path, directory.uid, directory.gid);
    return false;
  }
  const previous = version.uid;
  await handOverContents(path, previous, user, (name) => name === LAST);
  const file = await open(last, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    await file.chown(user.uid, user.gid);
  } finally {
    await file.close();
  }
  return true;
}

/**
 * handOverContents goes through a directory by way of open files, never by a path that its old owner could change
 * on the way, and hands over only what belonged to the old owner: root follows no symbolic link here, and gives
 * away no file that was linked into the cluster.
 */
async function handOverContents(
  directory: string,
  previous: number,
  user: SystemUser,
  isLeftOut: (name: string) => boolean = () => false,
): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_DIRECTORY);
  try {
    await handOverEntries(handle, previous, user, isLeftOut);
  } finally {
    await handle.close();
  }
}

async function handOverEntries(
  directory: FileHandle,
  previous: number,
  user: SystemUser,
  isLeftOut: (name: string) => boolean,
): Promise<void> {
  const opened = `/proc/self/fd/${directory.fd}`;
  for (const name of await readdir(opened)) {
    if (isLeftOut(name)) continue;
    const entry = await openEntry(join(opened, name));
    if (entry === undefined) continue;
    try {
      const found = await entry.stat();
      if (found.uid === previous) await entry.chown(user.uid, user.gid);
      if (found.isDirectory()) await handOverEntries(entry, previous, user, () => false);
    } finally {
      await entry.close();
    }
  }
}

/** openEntry opens a file or directory; not a symbolic link, a socket, or what is gone. */
async function openEntry(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ELOOP', 'ENXIO')) return undefined;
    throw error;
  }
}
