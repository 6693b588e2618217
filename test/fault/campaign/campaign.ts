import { TTL_MS } from '../../../src/coherence/lease.js';
import { check, type Checked } from './checker.js';
import { inflictFaults } from './faults.js';
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
  /** Whether the database is also restored and promoted. */
  readonly hasTurns: boolean;
  readonly log: (line: string) => void;
}

export interface Campaign {
  readonly options: CampaignOptions;
  readonly history: History;
  readonly checked: Checked;
  /** True if, after all faults and some rest, a change through each replica was complete. */
  readonly hasRecovered: boolean;
}

const DRIVERS = 8;
/** Longer than the outage policy takes to answer, and than a busy machine. */
const VALIDATION_LIMIT_MS = 3_000;
/** Longer than a lease, and than the database may take. */
const CHANGE_LIMIT_MS = 8_000;

/** runCampaign lets a service of three replicas meet faults while it is asked and changed, and checks all its answers. */
export async function runCampaign(options: CampaignOptions): Promise<Campaign> {
  return closing((opened) => run(options, opened));
}

async function run(options: CampaignOptions, opened: Opened): Promise<Campaign> {
  const { seed, seconds, maxStaleSeconds, hasTurns, log } = options;
  const limits = { validationLimitMs: VALIDATION_LIMIT_MS, changeLimitMs: CHANGE_LIMIT_MS };
  const world = await World.open({ seed, maxStaleSeconds, drivers: DRIVERS, pauseMs: 0, ...limits }, opened);
  const { sites, postgres, recorder, estates, gate } = world;
  const turns = new Turns({ postgres, estates, others: [], gate, recorder });
  const plan = { seed, sites, postgres, recorder, turns, hasTurns, durationMs: seconds * 1000, log };
  const hasRecovered = await world.during(() => inflictFaults(plan));
  await world.stop();
  const rules = { leaseMs: TTL_MS, maxStaleMs: maxStaleSeconds * 1000 };
  return { options, history: recorder, checked: check(recorder, rules), hasRecovered };
}
