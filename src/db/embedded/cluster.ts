import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { prepareBinaries, type Binaries } from './binaries.js';
import { createDirectoryOnce, createFileOnce, syncDirectory } from './create-once.js';
import { EmbeddedPostgresError, hasCode } from './errors.js';
import { asArguments, runProgram, type Settings, type SystemUser } from './program.js';

/** ROOT_HOME holds what must be reachable for the database's user when Keyward itself runs as root. */
const ROOT_HOME = '/var/lib/keyward';

/** NOBODY is the uid and gid that Linux distributions give to `nobody`. */
const NOBODY: SystemUser = { uid: 65534, gid: 65534 };

/** Cluster is a database cluster on disk, ready to be started. */
export interface Cluster {
  /** path is the real path of PostgreSQL's data directory. */
  readonly path: string;
  readonly password: string;
  readonly binaries: Binaries;
  /** user is who runs the server; absent: the present user. */
  readonly user: SystemUser | undefined;
  /** created is true when this call made the cluster. */
  readonly created: boolean;
}

/**
 * openCluster finds the cluster of a data directory, or makes it.
 *
 * `<dataDir>/postgres` is the cluster. PostgreSQL refuses to run as root, and another user cannot enter a
 * private directory of root's, so for root it is a symbolic link to `/var/lib/keyward/<random id>`, owned by
 * `nobody`. The name `postgres` appears only once the cluster is complete: what an interrupted creation left
 * is never taken for a database.
 *
 * @throws EmbeddedPostgresError where the directory cannot be used; nothing is ever repaired by deleting it
 */
export async function openCluster(
  dataDir: string,
  settings: Settings,
  onProgress: (line: string) => void,
): Promise<Cluster> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const asRoot = process.getuid?.() === 0;
  if (asRoot) {
    await mkdir(ROOT_HOME, { recursive: true });
    // Said apart, since a strict umask would keep the database's user out.
    await chmod(ROOT_HOME, 0o755);
  }

  const binaries = await prepareBinaries(asRoot ? ROOT_HOME : dataDir, asRoot);
  const name = join(dataDir, 'postgres');
  const passwordFile = join(dataDir, 'postgres-password');

  let created = false;
  if (!(await isPresent(name))) {
    onProgress(`Creating the database in ${name} ...`);
    // The password comes first, so that a cluster without one is always somebody's mistake.
    await createFileOnce(passwordFile, `${randomBytes(24).toString('base64url')}\n`);
    const password = await readPassword(passwordFile);
    created = asRoot
      ? await createBehindLink(name, (path) => initialize(path, password, binaries, settings, NOBODY))
      : await createDirectoryOnce(name, (path) => initialize(path, password, binaries, settings, undefined));
  }
  const path = await followLink(name);
  return {
    path,
    password: await readPassword(passwordFile),
    binaries,
    user: await ownerOf(path, asRoot),
    created,
  };
}

/** createBehindLink makes the cluster elsewhere; the link is the pointer that makes it this data directory's. */
async function createBehindLink(name: string, fill: (path: string) => Promise<void>): Promise<boolean> {
  const target = join(ROOT_HOME, randomBytes(8).toString('hex'));
  await createDirectoryOnce(target, fill);
  try {
    await symlink(target, name);
  } catch (error) {
    await rm(target, { recursive: true });
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
  await syncDirectory(join(name, '..'));
  return true;
}

/** initialize runs initdb in an empty directory and makes the database `keyward` before anything can connect. */
async function initialize(
  path: string,
  password: string,
  { initdb, postgres }: Binaries,
  settings: Settings,
  user: SystemUser | undefined,
): Promise<void> {
  // A file of its own, since the database's user cannot read the one in the data directory.
  const passwordFile = `${path}.password`;
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flag: 'wx' });
  try {
    if (user) for (const file of [path, passwordFile]) await chown(file, user.uid, user.gid);
    await runProgram(initdb, {
      user,
      arguments: [
        `--pgdata=${path}`,
        `--pwfile=${passwordFile}`,
        '--username=keyward',
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--data-checksums',
        ...(settings['fsync'] === 'off' ? ['--no-sync'] : []),
      ],
    });
  } finally {
    await rm(passwordFile);
  }
  await runProgram(postgres, {
    user,
    arguments: ['--single', '-D', path, ...asArguments({ ...settings, exit_on_error: 'on' }), 'postgres'],
    input: 'CREATE DATABASE keyward;\n',
  });
}

/** ownerOf is the user a cluster's server must run as: PostgreSQL insists that it owns the directory. */
async function ownerOf(path: string, asRoot: boolean): Promise<SystemUser | undefined> {
  const { uid, gid } = await stat(path);
  if (!asRoot && uid === process.getuid?.()) return undefined;
  if (asRoot && uid !== 0) return { uid, gid };
  throw new EmbeddedPostgresError(
    `The database in ${path} belongs to uid ${uid}, and uid ${process.getuid?.()} cannot run it. ` +
      'Start Keyward as the user that created it, or use another KEYWARD_DATA_DIR.',
  );
}

async function followLink(name: string): Promise<string> {
  try {
    return await realpath(name);
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT')) throw cause;
    throw new EmbeddedPostgresError(
      `${name} points to a database that is no longer there. ` +
        `Bring the directory back, or remove ${name} to start with an empty database.`,
      { cause },
    );
  }
}

async function readPassword(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT')) throw cause;
    throw new EmbeddedPostgresError(
      `The password of the embedded database is missing: bring ${path} back, ` +
        'or remove the whole data directory to start with an empty database.',
      { cause },
    );
  }
}

async function isPresent(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
