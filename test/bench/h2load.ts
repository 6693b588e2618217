import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ServerProcess } from './processes.js';
import { measured, type Scenario } from './scenario.js';
import { messageOf } from './http2-frames.js';
import { exchangeOf, plaintextOf, type Exchange } from './tokens.js';

/** One connection each, as h2load sends the same body over and over. */
const PROCESSES = 8;
const IN_FLIGHT = 12;

/**
 * h2loadScenario asks with h2load, a load generator that is not ours: several processes, each with a token of
 * its own to present and another to ask for, all new in every round.
 */
export async function h2loadScenario(
  server: ServerProcess,
  path: string,
  tokens: number,
  ask: (token: number) => Exchange = exchangeOf,
): Promise<Scenario> {
  const directory = await mkdtemp(join(tmpdir(), 'keyward-bench-'));
  let next = 0;
  return {
    async measure(seconds) {
      const bodies = Array.from({ length: PROCESSES }, () => next++ % tokens);
      const { result, spent } = await measured(server, () =>
        Promise.all(
          bodies.map((token, caller) =>
            h2load(server.port, path, { directory, request: ask(token).request, caller, seconds }),
          ),
        ),
      );
      const calls = result.reduce((sum, { times }) => sum + times.length, 0);
      const times = result.flatMap((each) => each.times).sort((a, b) => a - b);
      const start = Math.min(...result.map((each) => each.start));
      const elapsed = (Math.max(...result.map((each) => each.end)) - start) / 1e6;
      return {
        callsPerSecond: calls / elapsed,
        cpuMicros: (spent.busy * 1e6) / calls,
        busy: spent.busy / elapsed,
        waited: spent.waited / elapsed,
        p50: times[Math.floor(calls * 0.5)] ?? NaN,
        p99: times[Math.floor(calls * 0.99)] ?? NaN,
      };
    },
    close: () => void rm(directory, { recursive: true }),
  };
}

interface Run {
  readonly directory: string;
  readonly request: Uint8Array;
  readonly caller: number;
  readonly seconds: number;
}

/** Log is what h2load wrote of its calls: from when to when they were, in microseconds, and the milliseconds of each. */
interface Log {
  readonly start: number;
  readonly end: number;
  readonly times: number[];
}

async function h2load(
  port: number,
  path: string,
  { directory, request, caller, seconds }: Run,
): Promise<Log> {
  const body = join(directory, `body-${caller}`);
  const log = join(directory, `log-${caller}`);
  await rm(log, { force: true });
  await writeFile(body, messageOf(request));
  await promisify(execFile)('h2load', [
    ...['--clients=1', `--max-concurrent-streams=${IN_FLIGHT}`, `--duration=${seconds * 1000}ms`],
    ...[`--data=${body}`, `--log-file=${log}`],
    ...['--header=te: trailers', '--header=content-type: application/grpc'],
    `--header=authorization: Bearer ${plaintextOf(caller)}`,
    `http://127.0.0.1:${port}${path}`,
  ]);
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n');
  const rows = lines.map((line) => line.split('\t').map(Number) as [number, number, number]);
  if (rows.some(([, status]) => status !== 200)) throw new Error('h2load saw a call fail');
  const [start] = rows[0] ?? [NaN];
  const [lastStart, , lastMicros] = rows.at(-1) ?? [NaN, NaN, NaN];
  return { start, end: lastStart + lastMicros, times: rows.map(([, , micros]) => micros / 1000) };
}
