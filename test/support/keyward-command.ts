import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { run } from '../../src/cli/run.js';
import { keepLog } from './run-log.js';

/** The program as users run it: compiled. The run's global setup compiles it. */
const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));
const MAIN = 'dist/cli/main.js';
const START_LIMIT_MS = 30_000;

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  readonly uid?: number;
  readonly cwd?: string;
  /** Most files that it may have open. */
  readonly openFiles?: number;
  /** Where the program is, if not in this checkout. */
  readonly installation?: string;
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** installInto copies the program to where other users can read it: a checkout may lie in a private directory. */
export async function installInto(directory: string): Promise<string> {
  const installation = join(directory, 'installation');
  await mkdir(installation);
  const copied = ['dist', 'proto', 'package.json', 'node_modules', 'clients'].map((name) =>
    join(CHECKOUT, name),
  );
  await promisify(execFile)('cp', ['-a', ...copied, installation]);
  return installation;
}

/** Started is a command in a process of its own. */
export interface Started {
  /** stdout is all it printed so far. */
  stdout(): string;
  stderr(): string;
  signal(signal: NodeJS.Signals): void;
  /** ended gives its result; the code is null where a signal ended it. */
  readonly ended: Promise<CommandResult>;
}

/** startKeyward starts a command in a process of its own. */
export function startKeyward(args: readonly string[], options: CommandOptions = {}): Started {
  const { child, output } = start(args, options);
  child.stdin?.end(options.input ?? '');
  return {
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    signal: (signal) => void child.kill(signal),
    ended: once(child, 'close').then(([code]) => ({ code: code as number | null, ...output })),
  };
}

/** spawnKeyward runs a command to its end in a process of its own, as users do. */
export function spawnKeyward(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return startKeyward(args, options).ended;
}

/** runKeyward runs a command to its end in this process, which is many times as quick, but for `serve`, which has its own. */
export async function runKeyward(
  args: readonly string[],
  options: Pick<CommandOptions, 'env' | 'input'> = {},
): Promise<CommandResult> {
  if (args[0] === 'serve') return spawnKeyward(args, options);
  const { env, input = '' } = options;
  const output = { stdout: '', stderr: '' };
  const keep = (name: keyof Output) => ({
    write: (chunk: string | Uint8Array) => {
      const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
      output[name] += text;
      if (name === 'stderr') keepLog(text);
    },
  });
  const code = await run(args, {
    env: { ...process.env, ...env },
    stdin: Readable.from([Buffer.from(input)], { objectMode: false }),
    stdout: keep('stdout'),
    stderr: keep('stderr'),
  });
  return { code, ...output };
}

/** keyward runs a command that must succeed, in this process, and gives what it printed. */
export async function keyward(
  args: readonly string[],
  options: Pick<CommandOptions, 'env' | 'input'> = {},
): Promise<string> {
  const { code, stdout, stderr } = await runKeyward(args, options);
  if (code !== 0) throw new Error(`keyward ${args[0] ?? ''} ended with ${code}: ${stderr}`);
  return stdout;
}

/** Serving is a `keyward serve` of its own process, in a process group of its own. */
export interface Serving {
  readonly pid: number;
  /** host:port it listens on. */
  readonly address: string;
  /** URL of its health and metrics; it has one if KEYWARD_HTTP_LISTEN is set. */
  readonly http: string;
  /** output is all it printed so far. */
  output(): string;
  /** signal sends a signal to the process, or as a terminal does to its whole group. */
  signal(signal: NodeJS.Signals, target?: 'process' | 'group'): void;
  /** exited gives its exit status. */
  readonly exited: Promise<number | null>;
}

/** serve starts `keyward serve` and waits until it listens. */
export async function serve(options: CommandOptions): Promise<Serving> {
  const { child, output } = start(['serve'], options);
  child.stdout?.on('data', keepLog);
  const exited = once(child, 'close').then(([code]) => code as number | null);
  const pid = child.pid;
  if (pid === undefined) throw new Error('keyward serve was not started');
  const address = await listening(child, output);
  return {
    pid,
    address,
    http: `http://${/"http":"([^"]+)"/.exec(output.stdout)?.[1] ?? 'none'}`,
    output: () => output.stdout + output.stderr,
    signal: (signal, target = 'process') => {
      process.kill(target === 'group' ? -pid : pid, signal);
    },
    exited,
  };
}

interface Output {
  stdout: string;
  stderr: string;
}

function start(args: readonly string[], options: CommandOptions): { child: ChildProcess; output: Output } {
  const main = join(options.installation ?? CHECKOUT, MAIN);
  const limit =
    options.openFiles === undefined ? [] : ['sh', '-c', `ulimit -n ${options.openFiles}; exec "$0" "$@"`];
  const [program = '', ...rest] = [...limit, process.execPath, main, ...args];
  const child = spawn(program, rest, {
    // Many run at once, and the default is one address.
    env: { ...process.env, KEYWARD_HTTP_LISTEN: '', ...options.env },
    detached: true,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => {
    output.stderr += chunk.toString();
    keepLog(chunk);
  });
  return { child, output };
}

function listening(child: ChildProcess, output: Output): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      reject(new Error(`keyward serve ${why}: ${output.stdout}${output.stderr}`));
    };
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail('does not listen');
    }, START_LIMIT_MS);
    child.once('close', () => {
      clearTimeout(timer);
      fail('ended');
    });
    child.stdout?.on('data', () => {
      const address = /"address":"([^"]+)"/.exec(output.stdout)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
  });
}
