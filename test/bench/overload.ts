import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { connect } from '../../src/client/index.js';
import { ValidateTokenResponse } from '../../src/gen/keyward/token/v1/token_service.js';
import { freePort } from '../support/free-port.js';
import { pathOf, Peer } from '../support/rpc.js';
import { messageOf } from './http2-frames.js';
import type { Load } from './load.js';
import { observe, type Observed } from './observation.js';
import { startKeyward, stop, type ServerProcess } from './processes.js';
import { startLoad } from './scenario.js';
import { KEY } from './secrets.js';
import { exchangeOf, FIRST_ID, plaintextOf, unknownBatchOf, unknownExchangeOf } from './tokens.js';

/** What callers wait for an answer; what comes later is of no use to them. */
const DEADLINE_SECONDS = 1;
const STREAMS = 100;
const MAX_CONNECTIONS = 1000;
/** How many calls are under way at once, as multiples of what the service answers in the time that callers wait. */
const LOADS = [2.5, 10];
/** Texts that are no tokens: as many as are asked for, each again after so long that nobody remembers it. */
const UNKNOWN = 40_000;
/** They fit into a frame of HTTP/2, and four of them into what a connection may send unasked. */
const BATCH = 230;
const BATCHES = 4;

export interface OverloadExtent {
  readonly seconds: number;
}

interface Run {
  readonly answered: number;
  readonly inTime: number;
  readonly shed: number;
}

interface Subject {
  readonly server: ServerProcess;
  readonly metricsPort: number;
  /** Another caller, who has had a call before. */
  readonly peer: Peer;
  readonly seconds: number;
}

interface Outcome extends Run, Observed {
  /** Milliseconds of a revocation in the middle of the load, and what it said of itself. */
  readonly revocationMs: number;
  readonly propagation: string;
  /** Milliseconds of a call, a second after the load has ended. */
  readonly calmMs: number;
  /** Answers that said to be stale, of a caller who asked all the time. */
  readonly stale: number;
  /** And calls of theirs that failed. */
  readonly failed: number;
}

/** measureOverload asks for far more than the service can answer in time, and tells what becomes of it. */
export async function measureOverload(databaseUrl: string, { seconds }: OverloadExtent): Promise<string> {
  const metricsPort = await freePort();
  const server = await startKeyward({
    DATABASE_URL: databaseUrl,
    KEYWARD_FERNET_KEYS: KEY,
    KEYWARD_HTTP_LISTEN: `127.0.0.1:${metricsPort}`,
  });
  const peer = new Peer(`127.0.0.1:${server.port}`, { token: plaintextOf(0) });
  const directory = await mkdtemp(join(tmpdir(), 'keyward-overload-'));
  const subject = { server, metricsPort, peer, seconds };
  try {
    await writeFile(join(directory, 'body'), messageOf(exchangeOf(1).request));
    const load = (connections: number, streams: number, duration: number) =>
      h2load(server.port, directory, connections, streams, duration);
    const capacity = async () => (await load(8, 12, seconds / 3)).answered / (seconds / 3);
    await capacity();
    const lines: string[] = [];
    for (const [index, times] of LOADS.entries()) {
      const before = await capacity();
      const connections = Math.min(MAX_CONNECTIONS, Math.ceil((times * before * DEADLINE_SECONDS) / STREAMS));
      const outcome = await underLoad(subject, index, () => load(connections, STREAMS, seconds));
      lines.push(
        `${times} times as many hits under way as are answered in ${DEADLINE_SECONDS} s (${connections} connections, ${STREAMS} calls on each):`,
        shareText(outcome, seconds, before, await capacity()),
        toText(outcome, seconds),
      );
    }
    for (const [index, [name, flood]] of FLOODS.entries()) {
      const outcome = await underLoad(subject, LOADS.length + index, () => flood(subject));
      lines.push(`${name}:`, toText(outcome, seconds));
    }
    return lines.join('\n');
  } finally {
    peer.close();
    await stop(server);
    await rm(directory, { recursive: true });
  }
}

/** FLOODS are loads that memory cannot answer. */
const FLOODS: readonly [string, (subject: Subject) => Promise<Run>][] = [
  [
    '10,000 validations of unknown texts under way, by 100 callers',
    (subject) =>
      flood(subject, {
        path: pathOf('validateToken'),
        connections: 100,
        inFlight: 100,
        asked: { exchanges: Array.from({ length: UNKNOWN }, (_, text) => unknownExchangeOf(text)) },
      }),
  ],
  [
    `${800 * BATCHES} batches of ${BATCH} unknown texts under way, by 500 callers`,
    (subject) =>
      flood(subject, {
        path: pathOf('batchValidateTokens'),
        connections: 800,
        inFlight: BATCHES,
        asked: {
          exchanges: Array.from({ length: Math.floor(UNKNOWN / BATCH) }, (_, batch) =>
            unknownBatchOf(UNKNOWN + batch * BATCH, BATCH),
          ),
        },
      }),
  ],
];

async function flood({ server, seconds }: Subject, load: Load): Promise<Run> {
  const generator = await startLoad(server, load);
  try {
    const { calls, wrong } = await generator.flood(seconds);
    return { answered: calls - wrong, inTime: calls - wrong, shed: wrong };
  } finally {
    generator.close();
  }
}

/** underLoad is what becomes of the load and of others meanwhile. */
async function underLoad(
  { server, metricsPort, peer, seconds }: Subject,
  index: number,
  load: () => Promise<Run>,
): Promise<Outcome> {
  const validate = () => timed(() => peer.call('validateToken', { token: plaintextOf(0) }));
  await validate();
  const observed = observe(server, metricsPort);
  const running = load();
  const over = new AbortController();
  let stale = 0;
  let failed = 0;
  const asking = (async () => {
    while (!over.signal.aborted) {
      const { result } = await validate();
      if (result.code !== 'OK') failed += 1;
      else if (ValidateTokenResponse.decode(result.response).stale) stale += 1;
      await delay(100);
    }
  })();
  // Its failure is told when the load is over.
  asking.catch(() => undefined);
  await delay((seconds * 1000) / 2);
  const revocation = await timed(() => revoke(server.port, FIRST_ID + 12 + 10 * index));
  const run = await running;
  await delay(1000);
  const calm = await validate();
  over.abort();
  await asking;
  return {
    ...run,
    ...(await observed()),
    revocationMs: revocation.ms,
    propagation: revocation.result,
    calmMs: calm.ms,
    stale,
    failed,
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

function shareText({ inTime, answered }: Run, seconds: number, before: number, after: number): string {
  const share = Math.round((100 * inTime) / seconds / ((before + after) / 2));
  const [late, rate] = [answered - inTime, inTime].map((calls) => Math.round(calls / seconds));
  return `  in time ${rate} a second, ${share} % of the capacity (${Math.round(before)} before, ${Math.round(after)} after); late ${late}`;
}

function toText(outcome: Outcome, seconds: number): string {
  const [answered, shed] = [outcome.answered, outcome.shed].map((calls) => Math.round(calls / seconds));
  const more = Math.round(outcome.moreBytes / 2 ** 20);
  return [
    `  answered ${answered} a second, refused or left ${shed}; ${more} MiB more; the event loop at most ${Math.round(outcome.lagMs)} ms late`,
    `  the lease ${outcome.heldLease ? 'held' : 'LOST'}; a caller with one call at a time: ${outcome.stale} stale answers, ${outcome.failed} failures; a revocation ${Math.round(outcome.revocationMs)} ms, ${outcome.propagation}; a call one second later ${outcome.calmMs.toFixed(1)} ms`,
  ].join('\n');
}
