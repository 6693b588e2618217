import { TTL_MS } from '../../../src/coherence/lease.js';
import type { Random } from '../../support/random.js';
import type { Backend } from './backend.js';
import type { Database } from './database.js';
import type { Machine } from './machine.js';
import type { Network } from './network.js';
import type { Scheduler } from './scheduler.js';
import type { SimulatedReplica } from './simulated-replica.js';

/** Site is a place for a replica: the processes on it come and go. */
export interface Site {
  readonly name: string;
  readonly machine: Machine;
  readonly network: Network;
  replica: SimulatedReplica;
  /** True while the process signs off. */
  isStopping: boolean;
}

/** The longest that a fault lasts, in milliseconds. */
export const MAX_FAULT_MS = 6_000;
const DURATIONS_MS = [30, 300, 1_500, 4_000, MAX_FAULT_MS];

const KINDS = [
  'pause',
  'suspend',
  'kill',
  'stop',
  'cut the session',
  'freeze the backend',
  'blackhole the session',
  'blackhole the session after its next answer',
  'partition',
  'restart the database',
  'prune the feed',
] as const;
/** After these the history of changes, or the time, is another. */
const TURNS = [
  'restore the database',
  'truncate the feed',
  'promote an older copy',
  'start an older copy',
  'set the database clock back',
] as const;
type Kind = (typeof KINDS | typeof TURNS)[number];

export interface FaultTargets {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly database: Database;
  readonly sites: readonly Site[];
  /** True if the history may become another. */
  readonly hasTurns: boolean;
  /** Starts a new process at a site. */
  readonly boot: (site: Site) => void;
}

/** strike lets one fault of a random length, and kind if that is not given, happen, and tells which. */
export function strike(
  site: Site,
  { scheduler, random, database, sites, hasTurns, boot }: FaultTargets,
  kind: Kind = random.pick(hasTurns ? [...KINDS, ...TURNS] : KINDS),
): string {
  const longest = random.pick(DURATIONS_MS);
  const ms = longest / 2 + random.below(longest / 2);
  switch (kind) {
    case 'pause':
      site.machine.pause(ms);
      break;
    case 'suspend':
      site.machine.suspend(ms);
      break;
    case 'kill':
      // Only who has seen more than an older copy holds can notice that it is one.
      if (site.replica.place.process.isDead || database.isUnnoticed) break;
      site.replica.kill(random.chance(0.8));
      scheduler.after(ms, () => boot(site));
      break;
    case 'stop':
      if (!database.isUnnoticed) stop(site, boot);
      break;
    case 'cut the session':
      cut(database, backendOf(site));
      break;
    case 'freeze the backend':
      backendOf(site)?.freeze(ms);
      break;
    case 'blackhole the session':
      blackhole(site, random.pick(['up', 'down', 'both']), scheduler, ms);
      break;
    case 'blackhole the session after its next answer':
      silenceAfterAnswer(site, scheduler, ms);
      break;
    case 'partition':
      partition(site.network, random.pick(['up', 'down', 'both']), scheduler, ms);
      break;
    case 'restart the database':
      // Everyone is hit by this, so it is rarer.
      if (random.chance(0.3)) database.restart(ms, random.chance(0.2));
      break;
    case 'prune the feed':
      database.pruneFeed();
      break;
    case 'restore the database':
      if (random.chance(0.5)) restore(database, scheduler, ms);
      break;
    case 'truncate the feed':
      if (random.chance(0.3)) database.truncateFeed();
      break;
    case 'promote an older copy': {
      const copy = database.copy();
      const clockMs = random.below(20_000) - 10_000;
      if (random.chance(0.5)) scheduler.after(ms, () => database.promote(copy, ms / 3, clockMs));
      break;
    }
    case 'start an older copy':
      if (random.chance(0.5)) startOlder(database, sites, scheduler, ms);
      break;
    case 'set the database clock back':
      database.setClockBack(random.pick([1_000, 4_000, 20_000, 600_000]));
  }
  return `${kind} at ${site.name} for ${ms}`;
}

/** stop is a clean end, after which a new process is started. */
function stop(site: Site, boot: (site: Site) => void): void {
  const { replica } = site;
  const { process } = replica.place;
  if (process.isDead || site.isStopping) return;
  site.isStopping = true;
  process.deliver(() => {
    void replica.stop().then(() => {
      replica.kill(true);
      site.isStopping = false;
      boot(site);
    });
  });
}

function restore(database: Database, scheduler: Scheduler, ms: number): void {
  const copy = database.copy();
  scheduler.after(ms, () => database.restore(copy));
}

/**
 * startOlder is noticed by those who have seen more than the copy holds, and by nobody else: all must have renewed
 * since the copy was made.
 */
function startOlder(database: Database, sites: readonly Site[], scheduler: Scheduler, ms: number): void {
  const copy = database.copy();
  scheduler.after(TTL_MS + ms / 3, () => {
    const haveAllSeenMore = sites.every(
      ({ replica, isStopping }) =>
        !isStopping && !replica.place.process.isDead && replica.replica.state === 'HELD',
    );
    if (haveAllSeenMore && database.isUp) database.startOlder(copy, ms / 3);
  });
}

function backendOf(site: Site): Backend | undefined {
  return site.replica.connector.last?.backend;
}

function cut(database: Database, backend: Backend | undefined): void {
  if (backend === undefined || backend.isEnded) return;
  database.end(backend);
  backend.hangUp();
}

function blackhole(site: Site, ways: 'up' | 'down' | 'both', scheduler: Scheduler, ms: number): void {
  const session = site.replica.connector.last;
  session?.blackhole(ways);
  scheduler.after(ms, () => session?.heal());
}

/** silenceAfterAnswer lets through what answers the command under way, and nothing that is told after it. */
function silenceAfterAnswer(site: Site, scheduler: Scheduler, ms: number): void {
  const session = site.replica.connector.last;
  session?.silenceAfterAnswer();
  scheduler.after(ms, () => session?.heal());
}

function partition(network: Network, ways: 'up' | 'down' | 'both', scheduler: Scheduler, ms: number): void {
  if (ways !== 'down') network.up.hold();
  if (ways !== 'up') network.down.hold();
  scheduler.after(ms, () => {
    network.up.release();
    network.down.release();
  });
}
