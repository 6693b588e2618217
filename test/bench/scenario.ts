import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Load, LoadResult, Until } from './load.js';
import type { LoadCommand } from './load-main.js';
import { cpuTimes, type CpuTimes, type ServerProcess } from './processes.js';

const LOAD_MAIN = fileURLToPath(new URL('load-main.ts', import.meta.url));

/** Sample is what one round of a scenario gave. */
export interface Sample {
  readonly callsPerSecond: number;
  /** Microseconds of the server's CPU for one call. */
  readonly cpuMicros: number;
  /** Share of the time that the server was busy: near 1, it is the server that limits. */
  readonly busy: number;
  /** Share of the time that other processes kept the server waiting for its core. */
  readonly waited: number;
  readonly p50: number;
  readonly p99: number;
}

/** Scenario is one load on one server, measured in rounds. */
export interface Scenario {
  measure(seconds: number): Promise<Sample>;
  close(): void;
}

/** measured is what a server spent while `work` went on. */
export async function measured<T>(
  { process: server }: ServerProcess,
  work: () => Promise<T>,
): Promise<{ result: T; spent: CpuTimes }> {
  const before = cpuTimes(server);
  const result = await work();
  const after = cpuTimes(server);
  return { result, spent: { busy: after.busy - before.busy, waited: after.waited - before.waited } };
}

/** startLoad starts a load generator's process. Every answer is compared with the right one. */
export async function startLoad(
  server: ServerProcess,
  load: Load,
): Promise<
  Scenario & { run(until: Until): Promise<LoadResult>; flood(seconds: number): Promise<LoadResult> }
> {
  const child = fork(LOAD_MAIN, { execArgv: ['--import', 'tsx'], serialization: 'advanced' });
  const ask = asker(child);
  await ask({ open: { port: server.port, load } });
  const run = async (until: Until): Promise<LoadResult> => {
    const result = (await ask({ run: until })) as LoadResult;
    if (result.wrong > 0) throw new Error(`${result.wrong} of ${result.calls} answers were wrong`);
    return result;
  };
  return {
    run,
    /** flood may be refused. */
    flood: async (seconds) => (await ask({ run: { seconds } })) as LoadResult,
    async measure(seconds) {
      const { result, spent } = await measured(server, () => run({ seconds }));
      return {
        callsPerSecond: result.calls / result.seconds,
        cpuMicros: (spent.busy * 1e6) / result.calls,
        busy: spent.busy / result.seconds,
        waited: spent.waited / result.seconds,
        p50: result.p50,
        p99: result.p99,
      };
    },
    close: () => {
      child.kill();
    },
  };
}

/** asker gives the way to a load generator: one command, one answer. */
function asker(child: ChildProcess): (command: LoadCommand) => Promise<unknown> {
  const ended = once(child, 'exit').then(() => Promise.reject(new Error('the load generator ended')));
  // One that ends while nothing is asked of it is told to whoever asks next.
  ended.catch(() => undefined);
  return async (command) => {
    const answered = Promise.race([once(child, 'message'), ended]);
    child.send(command);
    const [answer] = (await answered) as [unknown];
    return answer;
  };
}
