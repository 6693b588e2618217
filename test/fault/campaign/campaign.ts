import { TTL_MS } from '../../../src/coherence/lease.js';
import { check, type Checked } from './checker.js';
import type { Programs } from './clients/broken.js';
import { inflictFaults, type FaultPlan } from './faults.js';
import type { History } from './history.js';
import { Turns } from './turns.js';
import { closing, World, type Opened } from './world.js';

export interface CampaignOptions {
  /** The same seed makes the same decisions; when what happens is a matter of the machine. */
  readonly seed: number;
  /** For which changes and faults are made; starting and stopping come on top. */
  readonly seconds: number;
  /** KEYWARD_MAX_STALE_SECONDS of the replicas; 0 is strict mode. */
  readonly maxStaleSeconds: number;
  /** Clients that have a memory of their own. */
  readonly clients: number;
  /** Whether the database is also restored and promoted. */
  readonly hasTurns: boolean;
  /** Kinds of faults that are made; all if not given. */
  readonly kinds?: NonNullable<FaultPlan['kinds']>;
  /** What runs instead of this checkout's. */
  readonly programs?: Programs;
  readonly log: (line: string) => void;
}

export interface Campaign {
  readonly options: CampaignOptions;
  readonly history: History;
  readonly checked: Checked;
  /** True if, after all faults and some rest, a change through each replica was complete, and clients hold what nobody changes. */
  readonly hasRecovered: boolean;
  /** How many answers about what nobody changes the clients held in the end, of how many. */
  readonly held: string;
  /** Clients that ended by themselves. */
  readonly ended: readonly string[];
}

const DRIVERS = 8;
/** Between one question to a replica and the next, where clients need some of the machine too. */
const PAUSE_MS = 5;
/** Longer than the outage policy takes to answer, and than a busy machine. */
const VALIDATION_LIMIT_MS = 3_000;
/** Longer than a lease, and than the database may take. */
const CHANGE_LIMIT_MS = 8_000;

/** runCampaign lets a service of three replicas meet faults while it is asked and changed, and checks all its answers. */
export async function runCampaign(options: CampaignOptions): Promise<Campaign> {
  return closing((opened) => run(options, opened));
}

async function run(options: CampaignOptions, opened: Opened): Promise<Campaign> {
  const { seed, seconds, maxStaleSeconds, clients, programs, kinds, hasTurns, log } = options;
  const limits = { validationLimitMs: VALIDATION_LIMIT_MS, changeLimitMs: CHANGE_LIMIT_MS };
  const pauseMs = clients > 0 ? PAUSE_MS : 0;
  const workload = { drivers: DRIVERS, clients, ...(programs && { programs }) };
  const world = await World.open({ seed, maxStaleSeconds, pauseMs, ...workload, ...limits }, opened);
  const { sites, postgres, recorder, estates, gate, fleet } = world;
  const turns = new Turns({ postgres, estates, others: [], gate, recorder });
  const meeting = { hasTurns, ...(kinds && { kinds }), durationMs: seconds * 1000 };
  const plan = { seed, sites, postgres, recorder, turns, fleet, ...meeting, log };
  const hasRecovered = await world.during(() => inflictFaults(plan));
  const ended = fleet.failures;
  const held = `${fleet.lastHeld} of ${fleet.heldIfAll}`;
  await world.stop();
  const rules = { leaseMs: TTL_MS, maxStaleMs: maxStaleSeconds * 1000 };
  return { options, history: recorder, checked: check(recorder, rules), hasRecovered, held, ended };
}
