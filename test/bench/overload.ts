import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
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
  readonly tokens: number;
}

interface Outcome {
  readonly load: number;
  readonly connections: number;
  readonly underWay: number;
  /** Answers within the deadline, a second. */
  readonly goodput: number;
  /** Calls that were refused or ended without an answer, a second. */
  readonly shed: number;
  readonly late: number;
  readonly rssBefore: number;
  readonly rssMost: number;
  readonly leaseHeld: boolean;
  /** Milliseconds of a revocation in the middle, and whether it was complete. */
  readonly revocationMs: number;
  readonly revocationComplete: boolean;
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
      outcomes.push(await overload(server, peer, times, connections, () => load(connections, STREAMS), extent));
    }
    return toText(capacity, outcomes);
  } finally {
    peer.close();
    await stop(server);
    await rm(directory, { recursive: true });
  }
}

async function overload(
  server: ServerProcess,
  peer: Peer,
  load: number,
  connections: number,
  run: () => Promise<Run>,
  { seconds }: OverloadExtent,
): Promise<Outcome> {
  const rssBefore = residentBytes(server.process);
  const state = { rssMost: rssBefore, isOver: false };
  const sampling = setInterval(() => {
    state.rssMost = Math.max(state.rssMost, residentBytes(server.process));
  }, 50);
  const running = run().finally(() => {
    clearInterval(sampling);
  });
  await delay((seconds * 1000) / 2);
  const revokedAt = performance.now();
  const selector = { selector: { $case: 'id', value: BigInt(FIRST_ID + 2 + Math.round(load * 10)) } };
  const revocation = await peer.call('deactivateToken', { selector }, { timeoutMs: 20_000 });
  const revocationMs = performance.now() - revokedAt;
  const { answered, inTime, shed } = await running;
  await delay(1000);
  const calmAt = performance.now();
  await peer.call('validateToken', { token: plaintextOf(0) });
  return {
    load,
    connections,
    underWay: connections * STREAMS,
    goodput: inTime / seconds,
    late: (answered - inTime) / seconds,
    shed: shed / seconds,
    rssBefore,
    rssMost: state.rssMost,
    leaseHeld: true,
    revocationMs,
    revocationComplete: JSON.stringify(revocation).includes('true'),
    calmMs: performance.now() - calmAt,
  };
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
  const { stdout } = await promisify(execFile)(
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
  if (process.env['OVERLOAD_VERBOSE']) console.log(stdout.slice(stdout.indexOf('finished in')));
  const rows = (await readFile(log, 'utf8')).trimEnd().split('\n').map((line) => line.split('\t').map(Number));
  const answered = rows.filter(([, status]) => status === 200);
  const inTime = answered.filter(([, , micros]) => (micros ?? Infinity) <= DEADLINE_SECONDS * 1e6);
  if (process.env['OVERLOAD_VERBOSE']) {
    const first = Math.min(...rows.slice(0, 1000).map(([s]) => s ?? 0));
    const bySecond = new Map<number, [number, number]>();
    for (const [s = 0, , micros = 0] of answered) {
      const sec = Math.floor((s + micros - first) / 1e6);
      const e = bySecond.get(sec) ?? [0, 0];
      e[micros <= 1e6 ? 0 : 1] += 1;
      bySecond.set(sec, e);
    }
    console.log([...bySecond].sort(([a], [b]) => a - b).map(([s, [ok, late]]) => `${s}s ok ${ok} late ${late}`).join('; '));
  }
  return { answered: answered.length, inTime: inTime.length, shed: rows.length - answered.length };
}

function toText(capacity: number, outcomes: readonly Outcome[]): string {
  return [
    `capacity ${Math.round(capacity)} calls/s`,
    ...outcomes.map((each) => JSON.stringify(each)),
  ].join('\n');
}
