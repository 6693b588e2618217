import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { connect } from '../../src/client/index.js';
import { pathOf, Peer } from '../support/rpc.js';
import { messageOf } from './http2-frames.js';
import { residentBytes, startKeyward, stop, type ServerProcess } from './processes.js';
import { KEY } from './secrets.js';
import { exchangeOf, FIRST_ID, plaintextOf } from './tokens.js';

/** What callers wait for an answer; what comes later is of no use to them. */
const DEADLINE_SECONDS = 1;
const STREAMS = 100;
const MAX_CONNECTIONS = 1000;
/** How many calls are under way at once, as multiples of what the service answers in the time that callers wait. */
const LOADS = [2.5, 10];

export interface OverloadExtent {
  readonly seconds: number;
}

interface Load {
  readonly load: number;
  readonly connections: number;
  readonly seconds: number;
  readonly run: () => Promise<Run>;
}

interface Outcome {
  readonly load: number;
  readonly connections: number;
  /** Answers within the deadline, a second. */
  readonly goodput: number;
  /** Answers that came later, a second. */
  readonly late: number;
  /** Calls that got none, a second. */
  readonly shed: number;
  /** By how much resident memory rose at most. */
  readonly moreBytes: number;
  /** Milliseconds of a revocation in the middle of the load, and what it said of itself. */
  readonly revocationMs: number;
  readonly propagation: string;
  /** Milliseconds of a call, a second after the load has ended. */
  readonly calmMs: number;
}

/** measureOverload asks for far more hits than the service can answer in time, and tells what becomes of them. */
export async function measureOverload(databaseUrl: string, extent: OverloadExtent): Promise<string> {
  const settings = { DATABASE_URL: databaseUrl, KEYWARD_FERNET_KEYS: KEY };
  const server = await startKeyward(settings);
  const peer = new Peer(`127.0.0.1:${server.port}`, { token: plaintextOf(0) });
  const directory = await mkdtemp(join(tmpdir(), 'keyward-overload-'));
  try {
    await writeFile(join(directory, 'body'), messageOf(exchangeOf(1).request));
    const load = (connections: number, streams: number) =>
      h2load(server.port, directory, connections, streams, extent.seconds);
    await load(8, 12);
    const capacity = (await load(8, 12)).answered / extent.seconds;
    const outcomes: Outcome[] = [];
    for (const times of LOADS) {
      const connections = Math.min(
        MAX_CONNECTIONS,
        Math.ceil((times * capacity * DEADLINE_SECONDS) / STREAMS),
      );
      const run = () => load(connections, STREAMS);
      outcomes.push(await overload(server, peer, { load: times, connections, run, seconds: extent.seconds }));
    }
    return toText(capacity, outcomes);
  } finally {
    peer.close();
    await stop(server);
    await rm(directory, { recursive: true });
  }
}

async function overload(
  { port, process: child }: ServerProcess,
  peer: Peer,
  { load, connections, run, seconds }: Load,
): Promise<Outcome> {
  const before = residentBytes(child);
  let most = before;
  const sampling = setInterval(() => {
    most = Math.max(most, residentBytes(child));
  }, 50);
  const running = run().finally(() => {
    clearInterval(sampling);
  });
  await delay((seconds * 1000) / 2);
  const revocation = await timed(() => revoke(port, FIRST_ID + 2 + Math.round(load * 10)));
  const { answered, inTime, shed } = await running;
  await delay(1000);
  const calm = await timed(() => peer.call('validateToken', { token: plaintextOf(0) }));
  return {
    load,
    connections,
    goodput: inTime / seconds,
    late: (answered - inTime) / seconds,
    shed: shed / seconds,
    moreBytes: most - before,
    revocationMs: revocation.ms,
    propagation: revocation.result,
    calmMs: calm.ms,
  };
}

async function timed<T>(work: () => Promise<T>): Promise<{ readonly ms: number; readonly result: T }> {
  const began = performance.now();
  const result = await work();
  return { ms: performance.now() - began, result };
}

/** revoke switches a token off in the middle of it all, over a connection of its own, and tells what became of it. */
async function revoke(port: number, id: number): Promise<string> {
  const client = connect({ server: `127.0.0.1:${port}`, token: plaintextOf(2), timeoutMs: 20_000 });
  try {
    const { propagation } = await client.tokens.deactivateToken({
      selector: { selector: { $case: 'id', value: BigInt(id) } },
    });
    return propagation?.complete === true ? 'complete' : 'not complete';
  } catch (error) {
    return String(error);
  } finally {
    client.close();
  }
}

interface Run {
  readonly answered: number;
  readonly inTime: number;
  readonly shed: number;
}

async function h2load(
  port: number,
  directory: string,
  connections: number,
  streams: number,
  seconds: number,
): Promise<Run> {
  const log = join(directory, 'log');
  await rm(log, { force: true });
  await promisify(execFile)(
    'h2load',
    [
      ...[`--clients=${connections}`, `--max-concurrent-streams=${streams}`, `--duration=${seconds}`],
      ...[`--data=${join(directory, 'body')}`, `--log-file=${log}`],
      ...['--header=te: trailers', '--header=content-type: application/grpc'],
      ...[`--header=grpc-timeout: ${DEADLINE_SECONDS}S`, `--header=authorization: Bearer ${plaintextOf(0)}`],
      `http://127.0.0.1:${port}${pathOf('validateToken')}`,
    ],
    { maxBuffer: 2 ** 26 },
  );
  const rows = (await readFile(log, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t').map(Number));
  const answered = rows.filter(([, status]) => status === 200);
  const inTime = answered.filter(([, , micros]) => (micros ?? Infinity) <= DEADLINE_SECONDS * 1e6);
  return { answered: answered.length, inTime: inTime.length, shed: rows.length - answered.length };
}

function toText(capacity: number, outcomes: readonly Outcome[]): string {
  const lines = outcomes.map((each) => {
    const share = Math.round((100 * each.goodput) / capacity);
    return [
      `${each.load} times as many under way as are answered in ${DEADLINE_SECONDS} s (${each.connections} connections, ${STREAMS} calls on each):`,
      `  in time ${Math.round(each.goodput)} a second, ${share} % of the capacity; late ${Math.round(each.late)}, without an answer ${Math.round(each.shed)}`,
      `  ${Math.round(each.moreBytes / 2 ** 20)} MiB more; a revocation ${Math.round(each.revocationMs)} ms, ${each.propagation}; a call afterwards ${each.calmMs.toFixed(1)} ms`,
    ].join('\n');
  });
  return [`capacity ${Math.round(capacity)} calls/s`, ...lines].join('\n');
}
