import { randomUUID } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { lchown, lstat, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { hasCode } from './errno.js';

/** NotPrivateError says why a file or directory is not used: somebody else may have read or changed it. */
export class NotPrivateError extends Error {
  override readonly name = 'NotPrivateError';
}

const WRITABLE_BY_OTHERS = 0o022;
const OPEN_TO_OTHERS = 0o077;

/**
 * makePrivateDirectory makes a directory (mode 0700) if it is absent, and makes sure that nobody but the present
 * user can put anything into it.
 *
 * @throws NotPrivateError where it belongs to another user, or others may write to it
 */
export async function makePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const found = await stat(path);
  if (!found.isDirectory()) throw new NotPrivateError(`${path} is no directory`);
  if (isOthers(found)) {
    throw new NotPrivateError(
      `${path} belongs to uid ${found.uid}, and Keyward runs as uid ${ownUid()}: ` +
        'start it as that user, or name a directory of its own (one within this will do)',
    );
  }
  if ((found.mode & WRITABLE_BY_OTHERS) !== 0) {
    throw new NotPrivateError(
      `others may change what is in ${path} (mode ${modeOf(found)}): run "chmod go-w ${path}", ` +
        'or name a directory of its own (one within this will do)',
    );
  }
}

/**
 * readPrivately reads a file that only the present user can read and change, or gives undefined where there is
 * none. What is checked and what is read is one open file, which no symbolic link led to.
 *
 * @throws NotPrivateError where it belongs to another user, is open to others, or is no regular file
 */
export function readPrivately(path: string): string | undefined {
  const file = openWithoutLinks(path);
  if (file === undefined) return undefined;
  try {
    const found = fstatSync(file);
    if (!found.isFile()) throw new NotPrivateError(`${path} is no regular file`);
    if (isOthers(found)) {
      throw new NotPrivateError(
        `${path} is not used: it belongs to uid ${found.uid}, and this is uid ${ownUid()}`,
      );
    }
    if ((found.mode & OPEN_TO_OTHERS) !== 0) {
      throw new NotPrivateError(
        `${path} is not used: others may read or change it (mode ${modeOf(found)}). If nobody did, ` +
          `run "chmod 600 ${path}"; otherwise make a new one`,
      );
    }
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

function openWithoutLinks(path: string): number | undefined {
  try {
    // Not waiting for the other end of a pipe.
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    // What Linux and the BSDs say of a symbolic link, and both of a socket.
    if (hasCode(error, 'ELOOP', 'EMLINK', 'ENXIO')) throw new NotPrivateError(`${path} is no regular file`);
    throw error;
  }
}

type Content = string | Uint8Array;

/**
 * writePrivately writes a file that only its owner can read, or replaces one as a whole, so that it is never cut
 * short and never keeps a wider mode. What makes the content is called when the file is open, so that nothing is made
 * which has no place.
 */
export async function writePrivately(
  path: string,
  content: Content | (() => Promise<Content>),
): Promise<void> {
  if (!(await isReplaceable(path))) throw new Error(`${path} is there already and is no regular file`);
  await replacePrivately(path, content);
}

/** replacePrivately does so whatever is at the path, a link too; the file may be given to another user. */
export async function replacePrivately(
  path: string,
  content: Content | (() => Promise<Content>),
  owner?: { readonly uid: number; readonly gid: number },
): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(typeof content === 'function' ? await content() : content);
      await file.sync();
    } finally {
      await file.close();
    }
    if (owner !== undefined) await lchown(temporary, owner.uid, owner.gid);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function isReplaceable(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isFile();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return true;
    throw error;
  }
}

/** isOthers tells whether a file belongs to another user; where the system knows no users it does not. */
function isOthers({ uid }: Stats): boolean {
  return ownUid() !== undefined && uid !== ownUid();
}

function ownUid(): number | undefined {
  return process.geteuid?.();
}

function modeOf({ mode }: Stats): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
