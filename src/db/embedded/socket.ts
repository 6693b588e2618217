import { chown, lstat, mkdir, mkdtemp, rmdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cluster } from './cluster.js';
import { EmbeddedPostgresError } from './errors.js';

/** SOCKET_PORT is but the end of the socket's name: each server has a directory of its own. */
export const SOCKET_PORT = '5432';

/** MAX_PATH is what the path of a socket may have, in bytes: 103 on macOS, 107 on Linux. */
const MAX_PATH = 103;

const TEMPORARY_NAME = 'keyward-';

/** socketUrl names a database of the cluster, by way of the socket in a directory. */
export function socketUrl(cluster: Cluster, directory: string, database: string): string {
  return urlOf(cluster, directory, SOCKET_PORT, database);
}

/** urlOf names a database of the cluster, and requires SCRAM of whoever answers there. */
export function urlOf({ password }: Cluster, host: string, port: string | number, database: string): string {
  const query = new URLSearchParams({
    require_auth: 'scram-sha-256',
    // All that the driver would take from the environment otherwise: PGSSLMODE, PGOPTIONS and their like.
    sslmode: 'disable',
    sslnegotiation: 'postgres',
    options: '-c TimeZone=UTC',
    client_encoding: 'UTF8',
    replication: 'false',
  });
  const authority = `keyward:${password}@${encodeURIComponent(host)}:${port}`;
  // "+" means a space in forms, and itself in other readers of such URLs.
  return `postgres://${authority}/${database}?${String(query).replaceAll('+', '%20')}`;
}

/** socketPath is the file that a server in this directory listens on; its lock lies beside it. */
export function socketPath(directory: string): string {
  return join(directory, `.s.PGSQL.${SOCKET_PORT}`);
}

/**
 * prepareSocketDirectory finds the directory for the socket of a server that is about to start: the cluster's own,
 * which only the database's user can enter; where its path is too long for a socket, the one of the server before,
 * or a new one for temporary files.
 */
export async function prepareSocketDirectory(
  cluster: Cluster,
  previous: string | undefined,
): Promise<string> {
  if (fits(cluster.path)) return cluster.path;
  if (previous !== undefined && fits(previous)) {
    // Those that used the server before find the next one there.
    if (await isPrivate(cluster, previous)) return previous;
    if (await make(cluster, () => mkdir(previous, { mode: 0o700 }).then(() => previous))) return previous;
  }
  for (const parent of new Set([tmpdir(), '/tmp'])) {
    if (!fits(join(parent, `${TEMPORARY_NAME}XXXXXX`)) || !(await isSafeParent(parent))) continue;
    const directory = await make(cluster, () => mkdtemp(join(parent, TEMPORARY_NAME)));
    if (directory !== undefined) return directory;
  }
  throw new EmbeddedPostgresError(
    `The path ${cluster.path} is too long for a Unix socket, and there is no directory for temporary files: ` +
      'use a shorter KEYWARD_DATA_DIR.',
  );
}

/**
 * checkSocketDirectory makes sure that only the database's user, and root, can have put a socket there.
 *
 * @throws EmbeddedPostgresError otherwise
 */
export async function checkSocketDirectory(cluster: Cluster, directory: string): Promise<void> {
  if (directory === cluster.path || (await isPrivate(cluster, directory))) return;
  throw new EmbeddedPostgresError(
    `The embedded database listens in ${directory}, which is gone or which others can write to: stop its ` +
      `server, or use a KEYWARD_DATA_DIR with a path so short that the socket fits into it.`,
  );
}

/** removeSocketDirectory removes what was made for a server that has stopped. */
export async function removeSocketDirectory(cluster: Cluster, directory: string): Promise<void> {
  // Another server may have begun to use it.
  if (directory !== cluster.path) await rmdir(directory).catch(() => undefined);
}

function fits(directory: string): boolean {
  return Buffer.byteLength(socketPath(directory)) <= MAX_PATH;
}

async function make(cluster: Cluster, create: () => Promise<string>): Promise<string | undefined> {
  try {
    const directory = await create();
    if (cluster.user) await chown(directory, cluster.user.uid, cluster.user.gid);
    return directory;
  } catch {
    return undefined;
  }
}

/** isPrivate looks at the directory itself: a symbolic link, or another owner or mode, is somebody else's work. */
async function isPrivate({ user }: Cluster, directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  const owner = user?.uid ?? process.geteuid?.();
  return found?.isDirectory() === true && found.uid === owner && (found.mode & 0o777) === 0o700;
}

/** isSafeParent is false where others could move a directory away and put another in its place. */
async function isSafeParent(parent: string): Promise<boolean> {
  const found = await stat(parent).catch(() => undefined);
  return found !== undefined && ((found.mode & 0o022) === 0 || (found.mode & 0o1000) !== 0);
}
