import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** OldPrograms can run a cluster of another version, and read and write what is in it. */
export interface OldPrograms {
  readonly postgres: string;
  readonly pgDump: string;
  readonly psql: string;
}

/** SYSTEM_PARENTS hold a directory for each version: of Debian, of Red Hat, of Homebrew on either kind of Mac. */
const SYSTEM_PARENTS = ['/usr/lib/postgresql', '/usr', '/opt/homebrew/opt', '/usr/local/opt'];
const SYSTEM_NAME = /^(?:\d+|pgsql-\d+|postgresql@\d+)$/;

/**
 * findOldPrograms looks for the programs of a version: where somebody says they are, where earlier versions of Keyward
 * put them, and where systems do. Those that dump and restore may be of a later version.
 *
 * @param given a directory of programs to look in before all others
 * @param copiesDirectory where Keyward puts copies of what it brings
 */
export async function findOldPrograms(
  major: number,
  given: string | undefined,
  copiesDirectory: string,
): Promise<Partial<OldPrograms>> {
  const directories = [
    ...(given === undefined ? [] : [given]),
    ...(await directoriesIn(copiesDirectory, /^postgres-bin-/)),
    ...(await Promise.all(SYSTEM_PARENTS.map((parent) => directoriesIn(parent, SYSTEM_NAME)))).flat(),
    ...(process.env['PATH'] ?? '').split(':').filter((directory) => directory !== ''),
  ];
  const found: { -readonly [Name in keyof OldPrograms]?: OldPrograms[Name] } = {};
  for (const directory of directories) {
    const [postgres, pgDump, psql] = ['postgres', 'pg_dump', 'psql'].map((name) => join(directory, name));
    if (postgres === undefined || pgDump === undefined || psql === undefined) continue;
    if (found.postgres === undefined && (await majorOfProgram(postgres)) === major) found.postgres = postgres;
    // Both of one version: what a later pg_dump writes, an older psql may not read.
    const dumper = found.pgDump === undefined ? await majorOfProgram(pgDump) : undefined;
    if (dumper === undefined || dumper < major || (await majorOfProgram(psql)) !== dumper) continue;
    Object.assign(found, { pgDump, psql });
  }
  return found;
}

async function directoriesIn(parent: string, name: RegExp): Promise<string[]> {
  const names = await readdir(parent).catch(() => []);
  return names.filter((each) => name.test(each)).map((each) => join(parent, each, 'bin'));
}

/** majorOfProgram is the version that a program of PostgreSQL names; undefined if there is no such program. */
async function majorOfProgram(program: string): Promise<number | undefined> {
  try {
    const { stdout } = await promisify(execFile)(program, ['--version'], { timeout: 10_000 });
    return Number(/\(PostgreSQL\) (\d+)/.exec(stdout)?.[1]);
  } catch {
    return undefined;
  }
}
