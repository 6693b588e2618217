import { fork, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { credentials } from '@grpc/grpc-js';
import {
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthClient,
} from '../../src/gen/grpc/health/v1/health.js';
import { freePort } from '../support/free-port.js';

/** KEYWARD is the program as it is built here. */
export const KEYWARD = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const BASELINE = fileURLToPath(new URL('baseline-server.mjs', import.meta.url));
const PROBE = new URL('memory-probe.mjs', import.meta.url).href;
const SERVER_CORE = 0;
const START_LIMIT_MS = 60_000;

/** ServerProcess is a server under test, in a process of its own. */
export interface ServerProcess {
  readonly process: ChildProcess;
  readonly port: number;
  /** Milliseconds from the start of the process until it served. */
  readonly startMs: number;
}

/** hasProgram tells whether a program can be found. */
export function hasProgram(name: string): boolean {
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).error === undefined;
}

/** canPin tells whether processes can be kept to cores. */
export function canPin(): boolean {
  return cpus().length > 1 && hasProgram('taskset');
}

/** leaveServerCore moves this process, and all that it starts from now on, to the other cores. */
export function leaveServerCore(): void {
  pin(process.pid, `${SERVER_CORE + 1}-${cpus().length - 1}`);
}

/** startBaseline starts the empty handler; everyone gets `answer`. */
export async function startBaseline(answer: Uint8Array): Promise<ServerProcess> {
  const startedAt = performance.now();
  const child = fork(BASELINE, [Buffer.from(answer).toString('base64')]);
  toServerCore(child);
  const [message] = (await once(child, 'message')) as [{ port: number }];
  return { process: child, port: message.port, startMs: performance.now() - startedAt };
}

/** startKeyward starts the service as it is built, here or elsewhere. With `probe`, `memoryOf` can look into it. */
export async function startKeyward(
  settings: Readonly<Record<string, string>>,
  { probe = false, program = KEYWARD }: { readonly probe?: boolean; readonly program?: string } = {},
): Promise<ServerProcess> {
  const port = await freePort();
  const startedAt = performance.now();
  const child = fork(program, ['serve'], {
    env: {
      PATH: process.env['PATH'],
      KEYWARD_LOG_LEVEL: 'warn',
      KEYWARD_LISTEN: `127.0.0.1:${port}`,
      ...settings,
    },
    execArgv: probe ? ['--expose-gc', '--import', PROBE] : [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  toServerCore(child);
  await untilServing(child, port, startedAt + START_LIMIT_MS);
  return { process: child, port, startMs: performance.now() - startedAt };
}

export async function stop({ process: child }: ServerProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

/** CpuTimes are since the start of a process, in seconds. */
export interface CpuTimes {
  /** Of all its threads. */
  readonly busy: number;
  /** How long its main thread was ready to run, but waited for the core. */
  readonly waited: number;
}

/** cpuTimes reads them from /proc; NaN where there is none. */
export function cpuTimes({ pid }: ChildProcess): CpuTimes {
  if (process.platform !== 'linux') return { busy: NaN, waited: NaN };
  const secondsOf = (task: string): number[] =>
    readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8')
      .split(' ')
      .map((nanoseconds) => Number(nanoseconds) / 1e9);
  const busy = readdirSync(`/proc/${pid}/task`).reduce((sum, task) => sum + (secondsOf(task)[0] ?? NaN), 0);
  return { busy, waited: secondsOf(String(pid))[1] ?? NaN };
}

/** residentBytes reads from /proc; NaN where there is none. */
export function residentBytes(child: ChildProcess): number {
  if (process.platform !== 'linux') return NaN;
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

/** memoryOf collects the garbage of a server started with `probe` and tells what is left, in bytes. */
export async function memoryOf(child: ChildProcess): Promise<{ heapUsed: number; rss: number }> {
  const answered = once(child, 'message');
  child.send('memory');
  const [memory] = (await answered) as [{ heapUsed: number; rss: number }];
  return memory;
}

function toServerCore(child: ChildProcess): void {
  if (canPin() && child.pid !== undefined) pin(child.pid, String(SERVER_CORE));
}

function pin(pid: number, cores: string): void {
  const { status } = spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, String(pid)], {
    stdio: 'ignore',
  });
  if (status !== 0) throw new Error(`taskset cannot keep process ${pid} to cores ${cores}`);
}

async function untilServing(child: ChildProcess, port: number, limit: number): Promise<void> {
  while (!(await isServing(port))) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    if (performance.now() > limit) throw new Error('the server does not start');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isServing(port: number): Promise<boolean> {
  const client = new HealthClient(`127.0.0.1:${port}`, credentials.createInsecure());
  return new Promise<boolean>((resolve) => {
    client.check({ service: '' }, (error, response) => {
      resolve(error === null && response.status === ServingStatus.SERVING);
    });
  }).finally(() => {
    client.close();
  });
}
