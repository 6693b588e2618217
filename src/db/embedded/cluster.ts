import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  lstat,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../../lib/errno.js';
import { makePrivateDirectory, readPrivately } from '../../lib/private-file.js';
import { prepareBinaries, type Binaries } from './binaries.js';
import { createDirectoryOnce, createFileOnce, syncDirectory } from './create-once.js';
import { EmbeddedPostgresError } from './errors.js';
import { handOver } from './hand-over.js';
import { asArguments, runProgram, type Settings, type SystemUser } from './program.js';
import { databaseUser, type DatabaseUser } from './system-user.js';

/** ROOT_HOME holds what must be reachable for the database's user when Keyward itself runs as root. */
export const ROOT_HOME = '/var/lib/keyward';

/** clusterNameIn is the name of a data directory's cluster, whether there is one or not. */
export function clusterNameIn(dataDir: string): string {
  return join(dataDir, 'postgres');
}

/** Listeners get lines for people, of progress and of what is amiss although it goes on, and may break it off. */
export interface Listeners {
  readonly onProgress: (line: string) => void;
  readonly onWarning: (line: string) => void;
  readonly signal?: AbortSignal;
}

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
 * private directory of root's, so for root it is a symbolic link to `/var/lib/keyward/<random id>`, owned by the
 * system user `keyward`. The name `postgres` appears only once the cluster is complete: what an interrupted
 * creation left is never taken for a database.
 *
 * @throws EmbeddedPostgresError or NotPrivateError where it cannot be used; nothing is ever repaired by deleting it
 */
export async function openCluster(
  dataDir: string,
  settings: Settings,
  listeners: Listeners,
): Promise<Cluster> {
  await makePrivateDirectory(dataDir);
  const { signal } = listeners;
  const asRoot = process.geteuid?.() === 0;
  if (asRoot) {
    await makePrivateDirectory(ROOT_HOME);
    // The database's user has to get through.
    await chmod(ROOT_HOME, 0o755);
  }
  const user = asRoot ? await databaseUser(listeners.onWarning) : undefined;
  const binaries = await prepareBinaries(asRoot ? ROOT_HOME : dataDir, asRoot);
  const name = clusterNameIn(dataDir);
  const passwordFile = join(dataDir, 'postgres-password');

  let created = false;
  if (!(await isPresent(name))) {
    await requireNoneAside(dataDir);
    listeners.onProgress(`Creating the database in ${name} ...`);
    // The password comes first, so that a cluster without one is always somebody's mistake.
    await createFileOnce(passwordFile, `${randomBytes(24).toString('base64url')}\n`);
    const password = readPassword(passwordFile);
    created = user
      ? await createBehindLink(name, (path) => initialize(path, password, binaries, settings, user, signal))
      : await createDirectoryOnce(name, (path) =>
          initialize(path, password, binaries, settings, undefined, signal),
        );
    if (user) listeners.onProgress(`The database runs as ${nameOf(user)}.`);
  }
  const path = await followLink(name);
  await requireVersion(path, dataDir, binaries);
  if (user) await takeOver(path, user, listeners);
  return {
    path,
    password: readPassword(passwordFile),
    binaries,
    user: await ownerOf(path, asRoot),
    created,
  };
}

/** asideIn is the cluster of another version that an upgrade put aside, by its name; undefined if there is none. */
export async function asideIn(dataDir: string): Promise<string | undefined> {
  return (await readdir(dataDir)).find((entry) => /^postgres-\d+$/.test(entry));
}

/** requireNoneAside keeps an upgrade that was cut short from ending in an empty database. */
async function requireNoneAside(dataDir: string): Promise<void> {
  const aside = await asideIn(dataDir);
  if (aside === undefined) return;
  throw new EmbeddedPostgresError(
    `An upgrade of the database in ${dataDir} was cut short: run "keyward upgrade-database" again. ` +
      `(What there was lies in ${join(dataDir, aside)}.)`,
  );
}

/** majorOf is the number of the PostgreSQL that made a cluster. */
export async function majorOf(path: string): Promise<number> {
  try {
    return Number((await readFile(join(path, 'PG_VERSION'), 'utf8')).trim());
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    throw new EmbeddedPostgresError(`There is no database in ${path}: it has no PG_VERSION.`);
  }
}

/** requireVersion tells at once of a cluster that another PostgreSQL made, which this one refuses to run. */
async function requireVersion(path: string, dataDir: string, { major }: Binaries): Promise<void> {
  const found = await majorOf(path);
  if (found === major) return;
  throw new EmbeddedPostgresError(
    `The database in ${dataDir} is of PostgreSQL ${found}, and this Keyward brings PostgreSQL ${major}. ` +
      'Stop every Keyward that uses it, then run "keyward upgrade-database", or start the Keyward that made it.',
  );
}

function nameOf({ name, uid, made }: DatabaseUser): string {
  return `the system user "${name}" (uid ${uid})${made ? ', which was made for it' : ''}`;
}

/** takeOver gives the cluster of an earlier version, or of another system, to the database's user. */
async function takeOver(
  path: string,
  user: DatabaseUser,
  { onProgress, onWarning }: Listeners,
): Promise<void> {
  const { uid } = await stat(path);
  // It would not be a gain; and a cluster that root owns, PostgreSQL never made.
  if (user.name === 'nobody' || uid === 0) return;
  try {
    const isHandedOver = await handOver(path, user);
    if (isHandedOver && uid !== user.uid)
      onProgress(`The database, until now of uid ${uid}, runs as ${nameOf(user)}.`);
    if (!isHandedOver)
      onWarning(
        `The database runs as uid ${uid} until its server is stopped, and then as the user "${user.name}".`,
      );
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    onWarning(`The database goes on running as uid ${uid}: it cannot be given to ${nameOf(user)} (${why}).`);
  }
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
export async function initialize(
  path: string,
  password: string,
  { initdb, postgres }: Binaries,
  settings: Settings,
  user: SystemUser | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  // A file of its own, since the database's user cannot read the one in the data directory.
  const passwordFile = `${path}.password`;
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flag: 'wx' });
  try {
    if (user) for (const file of [path, passwordFile]) await chown(file, user.uid, user.gid);
    await runProgram(initdb, {
      user,
      signal,
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
    signal,
    arguments: ['--single', '-D', path, ...asArguments({ ...settings, exit_on_error: 'on' }), 'postgres'],
    input: 'CREATE DATABASE keyward;\n',
  });
}

/**
 * ownerOf is the user a cluster's server must run as: PostgreSQL insists that it owns the directory, and that
 * nobody else can enter it. So does Keyward, before it starts or talks to anything in there.
 */
export async function ownerOf(path: string, asRoot: boolean): Promise<SystemUser | undefined> {
  const { uid, gid, mode } = await stat(path);
  if ((mode & 0o077) !== 0) {
    throw new EmbeddedPostgresError(
      `Others can enter the database in ${path}. If nobody did, run "chmod 700 ${path}".`,
    );
  }
  if (!asRoot && uid === process.geteuid?.()) return undefined;
  if (asRoot && uid !== 0) return { uid, gid };
  throw new EmbeddedPostgresError(
    `The database in ${path} belongs to uid ${uid}, and uid ${process.geteuid?.()} cannot run it. ` +
      'Start Keyward as the user that created it, or use another KEYWARD_DATA_DIR.',
  );
}

export async function followLink(name: string): Promise<string> {
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

export function readPassword(path: string): string {
  const password = readPrivately(path)?.trim();
  if (password !== undefined) return password;
  throw new EmbeddedPostgresError(
    `The password of the embedded database is missing: bring ${path} back, ` +
      'or remove the whole data directory to start with an empty database.',
  );
}

export async function isPresent(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
