import { setTimeout as delay } from 'node:timers/promises';
import { TTL_MS } from '../../../src/coherence/lease.js';
import type { AuditReport } from '../../../src/audit/verify.js';
import { connect, type KeywardClient } from '../../../src/client/index.js';
import { openDatabase } from '../../../src/db/knex.js';
import { verify } from '../../support/audit.js';
import { registerCanary } from '../../support/canaries.js';
import { byId } from '../../support/requests.js';
import { present } from '../campaign/changes.js';
import { check, type Checked } from '../campaign/checker.js';
import type { History } from '../campaign/history.js';
import { Turns } from '../campaign/turns.js';
import { Caller } from '../campaign/caller.js';
import { closing, World, type Opened } from '../campaign/world.js';
import { Calls } from './calls.js';
import { Cell, makePlaces } from './cells.js';
import { CoreWaits } from './core-waits.js';
import { BOUND_MS, DEADLINE_MS } from './limits.js';
import { FeedTail, FOLLOWED, Follower } from './following.js';
import { Kept } from './kept.js';
import { Mix, type Callers } from './mix.js';
import { resourcesOf, resourcesWhenCalm, type Resources } from './resources.js';
import { inflictEvery } from './soak-faults.js';

export interface SoakOptions {
  /** The same seed makes the same decisions; when what happens is a matter of the machine. */
  readonly seed: number;
  readonly seconds: number;
  /** Names of the kinds of faults; all kinds if there are none. */
  readonly only: readonly string[];
  readonly log: (line: string) => void;
}

export interface Soak {
  readonly options: SoakOptions;
  readonly history: History;
  readonly checked: Checked;
  readonly calls: Calls;
  readonly coreWaits: Pick<CoreWaits, 'between'>;
  readonly cells: readonly Cell[];
  readonly mix: Pick<Mix, 'wrong' | 'lists' | 'run'>;
  readonly followers: readonly Follower[];
  /** Of what was written while they followed, what they were not told exactly once. */
  readonly misTold: readonly string[];
  readonly audit: AuditReport;
  /** Of each replica after the first minute, and at the end. */
  readonly before: readonly Resources[];
  readonly after: readonly Resources[];
  /** What the replicas logged as errors. */
  readonly errors: readonly LoggedError[];
  /** Replicas that ended by themselves. */
  readonly ended: readonly number[];
  readonly hasRecovered: boolean;
  /** Faults that were not made as they should be. */
  readonly failures: readonly string[];
}

/** LoggedError is an entry of a replica's log. */
interface LoggedError {
  readonly replica: number;
  readonly method: string | undefined;
  readonly isInternal: boolean;
  readonly line: string;
}

const MAX_STALE_SECONDS = 3;
const DRIVERS = 4;
const PAUSE_MS = 20;
const PLACES_OF_A_KIND = 2;
const KEPT_SECRETS = 5;
const HASTY_MS = 50;
const CROWD_MS = 1_000;
const FIRST_MS = 60_000;
const INTERVAL_MS = 20_000;
/** Without faults, at the end. */
const REST_MS = 15_000;
const ERROR_LEVEL = 50;
/** For how long whoever asks must have stood still for that to be taken off the time of a call. */
const STALL_MS = 100;

/** runSoak lets a service of three replicas do all kinds of work for long, while one fault after the other meets it. */
export async function runSoak(options: SoakOptions): Promise<Soak> {
  return closing((opened) => run(options, opened));
}

async function run(options: SoakOptions, opened: Opened): Promise<Soak> {
  const { seed, seconds, only, log } = options;
  const limits = { validationLimitMs: DEADLINE_MS, changeLimitMs: DEADLINE_MS, stallMs: STALL_MS };
  const pace = { drivers: DRIVERS, clients: 0, pauseMs: PAUSE_MS };
  const world = await World.open({ seed, maxStaleSeconds: MAX_STALE_SECONDS, ...pace, ...limits }, opened);
  const { sites, postgres, recorder, estates, gate } = world;
  const workload = await openWorkload(world, seed, opened);
  const { calls, coreWaits, cells, mix, followers, tail, user, crowd } = workload;
  const turns = new Turns({ postgres, estates, others: cells, gate, recorder });
  const durationMs = seconds * 1_000;
  const plan = { seed, sites, postgres, recorder, turns, hasTurns: true, durationMs, log };
  const failures: string[] = [];
  const onFailure = (kind: string, error: unknown) => {
    failures.push(`${kind}: ${String(error)}`);
    log(`${kind} FAILED: ${String(error)}`);
  };
  const ask = () => resourcesOf(sites, postgres);
  let before: readonly Resources[] = [];
  let after: readonly Resources[] = [];
  const startedAt = recorder.now();
  const working: Promise<void>[] = [];
  const hasRecovered = await world.during(async () => {
    working.push(...[mix, tail, coreWaits, ...cells, ...followers].map((each) => each.run(world.isOver)));
    await delay(FIRST_MS);
    before = await ask();
    const until = startedAt + durationMs - INTERVAL_MS - REST_MS;
    await inflictEvery(INTERVAL_MS, until, plan, { seed, only, user, crowd, onFailure });
    await delay(REST_MS);
    after = await resourcesWhenCalm(before, ask);
  });
  await Promise.all(working);
  for (const cell of cells) for (const { index } of sites) await cell.check(index);
  const ended = sites.filter(({ server }) => server === undefined).map(({ index }) => index);
  await world.stop();
  const errors = sites.flatMap((site) => errorsIn(site.output(), site.index));
  addHistory(calls, recorder);
  const checked = check(recorder, { leaseMs: TTL_MS, maxStaleMs: MAX_STALE_SECONDS * 1_000 });
  const audit = await verifyAt(postgres.url);
  const seen = { history: recorder, checked, calls, coreWaits, cells, mix, followers, audit, failures };
  return { options, ...seen, misTold: tail.misTold(followers), before, after, errors, ended, hasRecovered };
}

interface Workload extends Pick<Soak, 'calls' | 'cells' | 'mix' | 'followers'> {
  readonly coreWaits: CoreWaits;
  readonly tail: FeedTail;
  /** Token of one who owns secrets. */
  readonly user: string;
  readonly crowd: readonly KeywardClient[];
}

/** openWorkload makes all who call, with what they need; clients are added to `opened`. */
async function openWorkload(world: World, seed: number, opened: Opened): Promise<Workload> {
  const { sites, postgres, recorder, estates, others, gate, admin } = world;
  const opening = <Opening extends { close(): unknown }>(open: (port: number) => Opening): Opening[] =>
    sites.map(({ port }) => {
      const client = open(port);
      opened.push(client);
      return client;
    });
  const clientsWith = (token: string, timeoutMs: number): KeywardClient[] =>
    opening((port) => connect({ server: `127.0.0.1:${port}`, token, timeoutMs }));
  const admins = clientsWith(admin, DEADLINE_MS);
  const owner = byId({ id: others.profileId });
  const newToken = async (name: string, scopes: readonly string[]) =>
    registerCanary((await present(admins[0]).tokens.createToken({ owner, name, scopes })).plaintext);
  const user = await newToken('soak', []);
  const users = clientsWith(user, DEADLINE_MS);
  const hasty = clientsWith(admin, HASTY_MS);
  const fickle = opening((port) => new Caller(port, admin, DEADLINE_MS));
  const crowd = clientsWith(await newToken('crowd', ['keyward.tokens.validate']), CROWD_MS);
  const pids = () => sites.map(({ server }) => server?.pid);
  const coreWaits = new CoreWaits(pids, () => recorder.now());
  const calls = new Calls(recorder, coreWaits);
  const kept = await Kept.make(present(users[0]), others.profileId, KEPT_SECRETS);
  const places = await makePlaces(users, admins, others.profileId, PLACES_OF_A_KIND);
  const cells = places.map((place, at) => new Cell({ place, calls, gate, seed: seed + 40_000 + at }));
  const callers: Callers[] = sites.map(({ index }) => ({
    admin: present(admins[index]),
    user: present(users[index]),
    hasty: present(hasty[index]),
    fickle: present(fickle[index]),
  }));
  const mix = new Mix({ callers, estates, others, kept, recorder, calls, seed });
  const followers = FOLLOWED.flatMap((followed, kind) =>
    sites.map(
      ({ index }) =>
        new Follower({ followed, clients: admins, calls, seed: seed + 50_000 + 10 * kind + index }),
    ),
  );
  return { calls, coreWaits, cells, mix, followers, tail: new FeedTail(postgres), user, crowd };
}

/** verifyAt is what is wrong with the audit log of a database. */
async function verifyAt(databaseUrl: string): Promise<AuditReport> {
  const knex = openDatabase({ url: databaseUrl, poolSize: 1, connectTimeoutMs: 10_000 });
  try {
    return await verify(knex);
  } finally {
    await knex.destroy();
  }
}

/** addHistory counts the calls of the history too. */
function addHistory(calls: Calls, { validations, changes }: History): void {
  const validate = { name: 'ValidateToken', boundMs: BOUND_MS };
  for (const { replica, startedAt, endedAt, answer } of validations) {
    const code = 'failure' in answer ? answer.failure : 'OK';
    calls.add({ kind: validate, replica, startedAt, endedAt, code });
  }
  for (const { what, through, startedAt, endedAt, result } of changes) {
    if (through === 'SQL' || result.kind === 'created') continue;
    const code = result.kind === 'unknown' ? (result.error.split(':')[0] ?? '') : 'OK';
    calls.add({ kind: { name: what, boundMs: BOUND_MS }, replica: through, startedAt, endedAt, code });
  }
}

function errorsIn(output: string, replica: number): LoggedError[] {
  return output.split('\n').flatMap((line) => {
    const entry = parsed(line);
    if (entry === undefined) return [];
    const isInternal = entry.code === 'INTERNAL' || entry.reason === 'INTERNAL';
    return isInternal || entry.level >= ERROR_LEVEL
      ? [{ replica, method: entry.method, isInternal, line }]
      : [];
  });
}

interface Entry {
  readonly level: number;
  readonly method?: string;
  readonly code?: string;
  readonly reason?: string;
}

/** parsed is an entry of a log; whatever else is printed is an error, as of a process that falls. */
function parsed(line: string): Entry | undefined {
  if (line.trim() === '') return undefined;
  try {
    return JSON.parse(line) as Entry;
  } catch {
    return { level: ERROR_LEVEL };
  }
}
