import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { hasCode } from '../../lib/errno.js';
import { EmbeddedPostgresError } from './errors.js';

/** Settings are entries of postgresql.conf. */
export type Settings = Readonly<Record<string, string>>;

/** SystemUser is the user of the operating system that a program runs as. */
export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/** PROGRAM_LIMIT_MS bounds initdb, which takes 1 to 2 seconds, on a slow disk perhaps twenty. */
const PROGRAM_LIMIT_MS = 120_000;

/** asArguments gives settings in the form that every PostgreSQL program takes; none of them is a secret. */
export function asArguments(settings: Settings): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** programSurroundings are the directory and environment of PostgreSQL's programs: nothing of Keyward's own. */
export function programSurroundings(user: SystemUser | undefined) {
  return { cwd: '/', env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' }, ...user };
}

/**
 * runProgram runs one of PostgreSQL's programs to its end.
 *
 * @throws EmbeddedPostgresError with what the program printed when it fails
 */
export async function runProgram(
  program: string,
  options: {
    user: SystemUser | undefined;
    signal: AbortSignal | undefined;
    arguments: readonly string[];
    input?: string;
  },
): Promise<void> {
  const { signal } = options;
  signal?.throwIfAborted();
  const child = spawn(program, options.arguments, {
    ...programSurroundings(options.user),
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: PROGRAM_LIMIT_MS,
  });
  const ended = endOf(child);
  const breakOff = (): void => void child.kill();
  signal?.addEventListener('abort', breakOff);
  // A program that fails early closes its input; its exit status tells what matters.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const [output, errors, end] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  signal?.removeEventListener('abort', breakOff);
  signal?.throwIfAborted();
  if (end !== 0) {
    throw new EmbeddedPostgresError(`${program} failed (${end}): ${errors.trim() || output.trim()}`);
  }
}

/** endOf waits for a program's exit status, or the signal that ended it. */
async function endOf(child: ChildProcess): Promise<number | string> {
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return status ?? signal ?? 'unknown';
}

/** isAlive tells whether a process with this id exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}
