import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { SystemUser } from './program.js';

/** DatabaseUser is the system user that root runs the database as. */
export interface DatabaseUser extends SystemUser {
  readonly name: string;
  /** made is true when this call made the user. */
  readonly made: boolean;
}

/** RunTool runs a tool of the system and gives what it prints; it fails if the tool does. */
export type RunTool = (tool: string, args: readonly string[]) => Promise<string>;

const NAME = 'keyward';

/** NOBODY is the uid and gid that Linux distributions give to `nobody`. */
const NOBODY = { name: 'nobody', uid: 65534, gid: 65534, made: false };

const LOOKUP_LIMIT_MS = 10_000;

/** WAYS to make a system user without a home and without a login: of most distributions, and of BusyBox. */
const WAYS: readonly (readonly (readonly [tool: string, ...args: string[]])[])[] = [
  [
    [
      'useradd',
      '--system',
      '--user-group',
      '--no-create-home',
      '--home-dir=/nonexistent',
      '--shell=/usr/sbin/nologin',
      NAME,
    ],
  ],
  [
    ['addgroup', '-S', NAME],
    ['adduser', '-S', '-D', '-H', '-G', NAME, '-h', '/nonexistent', '-s', '/sbin/nologin', NAME],
  ],
];

/**
 * databaseUser finds the system user `keyward`, or makes it. Where that is impossible (the system's files may be
 * read-only) it is `nobody`, and `onWarning` is told of the risk.
 */
export async function databaseUser(
  onWarning: (line: string) => void,
  run: RunTool = runTool,
): Promise<DatabaseUser> {
  const present = await lookUp(run);
  if (present !== undefined) return { ...present, made: false };
  const failures: string[] = [];
  for (const way of WAYS) {
    try {
      for (const [tool, ...args] of way) await run(tool, args);
    } catch (error) {
      failures.push(messageOf(error));
    }
    // Another process may have made it first.
    const made = await lookUp(run);
    if (made !== undefined) return { ...made, made: true };
  }
  onWarning(
    `The database runs as "nobody", since there is no system user "${NAME}" and none could be made ` +
      `(${failures.join('; ')}): every other program that runs as nobody can read its files and stop it.`,
  );
  return NOBODY;
}

async function lookUp(run: RunTool): Promise<{ name: string; uid: number; gid: number } | undefined> {
  try {
    const uid = Number(await run('id', ['-u', NAME]));
    const gid = Number(await run('id', ['-g', NAME]));
    // PostgreSQL refuses to run as root, whatever that user is called.
    return uid > 0 && gid > 0 ? { name: NAME, uid, gid } : undefined;
  } catch {
    return undefined;
  }
}

async function runTool(tool: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(tool, args, {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    timeout: LOOKUP_LIMIT_MS,
  });
  return stdout;
}

/** messageOf is the last line of what a tool said, or that it is missing. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message.trim().split('\n').at(-1) ?? '';
}
