import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpus, loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { TTL_MS } from '../../../src/coherence/lease.js';
import type { LoadCommand } from '../../bench/load-main.js';
import { fillTokens } from '../../bench/tokens.js';
import { newEstate, openSites, prepare } from './world.js';
import { Caller } from './caller.js';
import { Changes, present } from './changes.js';
import { DurablePostgres } from './durable-postgres.js';
import type { Estate } from './estate.js';
import { Recorder, type Change } from './history.js';
import { percentile, percentiles } from './report.js';
import type { Site } from './site.js';

/**
 * Measures, on three replicas in processes of their own, how much longer DeactivateToken takes because it waits for
 * the other replicas. What is beyond its target is said loudly, and is no error: the machine may have been busy.
 */
const REPLICAS = 3;
const MAX_STALE_SECONDS = 60;
const TOKENS = 10;
const CALL_LIMIT_MS = 20_000;
const IDLE_CHANGES = 300;
const ROUNDS = 5;
/** Changes are made at different ages of the lease. */
const SPREAD_MS = 1_000;
const SETTLE_MS = 1_500;

const IDLE_TARGET_MS = 50;
const SATURATED_TARGET_MS = 150;
const LAPSED_TARGET_MS = TTL_MS + 500;

const opened: { close(): unknown }[] = [];
try {
  await measure();
} finally {
  for (const each of opened.reverse()) await each.close();
}

async function measure(): Promise<void> {
  const postgres = await DurablePostgres.create();
  opened.push({ close: () => postgres.remove() });
  const admin = await prepare(postgres.url);
  await fillTokens(postgres.url, TOKENS * 100);
  const options = { databaseUrl: postgres.url, maxStaleSeconds: MAX_STALE_SECONDS, isProxied: false };
  const sites = await openSites({ ...options, count: REPLICAS }, opened);
  const callers = sites.map(({ port }) => new Caller(port, admin, CALL_LIMIT_MS));
  opened.push(...callers);
  const estate = await newEstate(present(callers[0]), TOKENS);
  const recorder = new Recorder();
  opened.push(recorder);
  const parts = { estate, callers, postgres, recorder, ask: () => undefined, isOver: () => true };
  const changes = new Changes(parts);
  const waits = (made: () => Promise<void>) => waitsOf(recorder, made);
  const others = { saturated: present(sites[1]), lost: present(sites[2]) };
  const tell = (what: string, of: Waits, targetMs: number) => {
    console.log(line(what, of, targetMs));
  };

  await sequence(changes, estate, IDLE_CHANGES / 4);
  tell('idle', await waits(() => sequence(changes, estate, IDLE_CHANGES)), IDLE_TARGET_MS);
  const load = await saturate(others.saturated);
  tell('one saturated', await waits(() => sequence(changes, estate, IDLE_CHANGES)), SATURATED_TARGET_MS);
  await load.end();
  await delay(SETTLE_MS);
  tell('one paused', await waits(() => pausedRounds(changes, estate, others.lost)), LAPSED_TARGET_MS);
  tell('back again', await waits(() => sequence(changes, estate, IDLE_CHANGES)), IDLE_TARGET_MS);
  tell('one dead', await waits(() => killedRounds(changes, estate, others.lost)), LAPSED_TARGET_MS);
  await others.lost.kill();
  await delay(TTL_MS);
  tell('dead for long', await waits(() => sequence(changes, estate, IDLE_CHANGES)), IDLE_TARGET_MS);
  await others.lost.start();
  await delay(SETTLE_MS);
  tell('back again', await waits(() => sequence(changes, estate, IDLE_CHANGES)), IDLE_TARGET_MS);
}

async function pausedRounds(changes: Changes, estate: Estate, site: Site): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    site.pause();
    await spread(changes, estate);
    site.resume();
    await delay(SETTLE_MS);
  }
}

async function killedRounds(changes: Changes, estate: Estate, site: Site): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    await site.kill();
    await spread(changes, estate);
    await site.start();
    await delay(SETTLE_MS);
  }
}

/** sequence makes changes through the first replica, one after the other; every second is a deactivation. */
async function sequence(changes: Changes, estate: Estate, count: number): Promise<void> {
  const { row } = present(estate.current[0]);
  for (let made = 0; made < 2 * count; made += 1) {
    await changes.flip({ kind: 'token', row }, 0);
    await delay(5);
  }
}

/** spread deactivates all tokens through the first replica, each at its time, and then activates them. */
async function spread(changes: Changes, estate: Estate): Promise<void> {
  const each = async (at: number) => {
    const { row } = present(estate.current[at]);
    await delay((SPREAD_MS / TOKENS) * at);
    await changes.flip({ kind: 'token', row }, 0);
    await changes.flip({ kind: 'token', row }, 0);
  };
  await Promise.all(Array.from({ length: TOKENS }, (_each, at) => each(at)));
}

/** saturate has one replica asked for as much as it can answer, by a process of its own. */
async function saturate(site: Site): Promise<{ end(): Promise<void> }> {
  const main = fileURLToPath(new URL('../../bench/load-main.ts', import.meta.url));
  const child = fork(main, { execArgv: ['--import', 'tsx'] });
  const path = '/keyward.token.v1.TokenService/ValidateToken';
  const load = { path, connections: 8, inFlight: 12, asked: { tokens: TOKENS * 100, batch: 1 } };
  await answered(child, { open: { port: site.port, load } });
  await answered(child, { run: { seconds: 2 } });
  const begun = performance.now();
  const over = new AbortController();
  let calls = 0;
  const running = (async () => {
    while (!over.signal.aborted)
      calls += (await answered<{ calls: number }>(child, { run: { seconds: 1 } })).calls;
  })();
  return {
    end: async () => {
      over.abort();
      await running;
      const perSecond = calls / ((performance.now() - begun) / 1000);
      console.log(
        `  (the saturated replica answered ${perSecond.toFixed(0)} validations a second meanwhile)`,
      );
      child.disconnect();
    },
  };
}

async function answered<Answer>(child: ChildProcess, command: LoadCommand): Promise<Answer> {
  const answer = once(child, 'message');
  child.send(command);
  const [message] = (await answer) as [Answer];
  return message;
}

interface Waits {
  readonly deactivations: readonly Change[];
  readonly waitedMs: readonly number[];
}

async function waitsOf(recorder: Recorder, made: () => Promise<void>): Promise<Waits> {
  const from = recorder.changes.length;
  await made();
  const deactivations = recorder.changes.slice(from).filter(({ what }) => what === 'token off');
  const waitedMs = deactivations.flatMap(({ result }) => ('waitedMs' in result ? [result.waitedMs] : []));
  return { deactivations, waitedMs };
}

function line(what: string, { deactivations, waitedMs }: Waits, targetMs: number): string {
  const p99 = percentile(waitedMs, 0.99);
  const failed = deactivations.length - waitedMs.length;
  const incomplete = deactivations.filter(({ result }) => result.kind === 'incomplete').length;
  const whole = percentile(
    deactivations.map(({ startedAt, endedAt }) => endedAt - startedAt),
    0.99,
  );
  return [
    `${what.padEnd(14)} ${percentiles(waitedMs)}`,
    `${incomplete} effective later, ${failed} failed, whole call p99 ${whole.toFixed(1)} ms`,
    `target p99 ${targetMs} ms ${p99 <= targetMs && failed === 0 ? 'met' : 'MISSED !!!'}`,
    `load ${loadavg()[0]?.toFixed(1) ?? '?'} on ${cpus().length} cores`,
  ].join('; ');
}
