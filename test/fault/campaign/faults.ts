import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../../support/random.js';
import { CLIENT_MEANS, type ClientKind } from './clients/client-faults.js';
import type { Fleet } from './clients/fleet.js';
import type { DurablePostgres } from './durable-postgres.js';
import { CLIENT_KINDS, FAULT_KINDS, TURN_KINDS, type Fault, type Recorder } from './history.js';
import { Locks } from './locks.js';
import type { Site } from './site.js';
import type { Turns } from './turns.js';

export type Inflicted = (typeof FAULT_KINDS)[number] | (typeof TURN_KINDS)[number];

/** Means is how a fault is made. */
export interface Means {
  /** What no other fault may touch meanwhile. */
  readonly needs: (site: Site, sites: readonly Site[]) => readonly string[];
  /** It is over when the promise resolves. */
  readonly inflict: (
    postgres: DurablePostgres,
    site: Site,
    durationMs: number,
    turns: Turns,
  ) => Promise<void>;
  /** True where all replicas feel it. */
  readonly isForAll?: true;
}

const process_ = ({ index }: Site) => `process ${index}`;
const pool = ({ index }: Site) => `pool ${index}`;
const listener = ({ index }: Site) => `listener ${index}`;
const POSTGRES = 'PostgreSQL';

export const MEANS: Readonly<Record<Inflicted, Means>> = {
  'replica paused': {
    needs: (site) => [process_(site)],
    inflict: async (_postgres, site, durationMs) => {
      site.pause();
      await delay(durationMs);
      site.resume();
    },
  },
  'replica killed': {
    needs: (site) => [process_(site), pool(site), listener(site)],
    inflict: async (_postgres, site, durationMs) => {
      await site.kill();
      await delay(durationMs);
      await site.start();
    },
  },
  'listener terminated': {
    needs: (site) => [listener(site), POSTGRES],
    inflict: async (postgres, { listenerName }) => {
      await postgres.execute(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1',
        [listenerName],
      );
    },
  },
  'listener frozen': {
    needs: (site) => [listener(site), POSTGRES],
    inflict: async (postgres, { listenerName }, durationMs) => {
      const pids = await postgres.backends(listenerName);
      for (const pid of pids) process.kill(pid, 'SIGSTOP');
      await delay(durationMs);
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    },
  },
  'listener blackholed': {
    needs: (site) => [listener(site)],
    inflict: async (_postgres, site, durationMs) => {
      site.listen?.silence();
      await delay(durationMs);
      site.listen?.mend();
    },
  },
  'pool blackholed': {
    needs: (site) => [pool(site)],
    inflict: async (_postgres, site, durationMs) => {
      site.pool?.silence();
      await delay(durationMs);
      site.pool?.mend();
    },
  },
  'pool answers held back': {
    needs: (site) => [pool(site)],
    inflict: async (_postgres, site, durationMs) => {
      site.pool?.holdAnswers();
      await delay(durationMs);
      site.pool?.mend();
    },
  },
  'pool and listener blackholed': {
    needs: (site) => [pool(site), listener(site)],
    inflict: async (_postgres, site, durationMs) => {
      site.pool?.silence();
      site.listen?.silence();
      await delay(durationMs);
      site.pool?.mend();
      site.listen?.mend();
    },
  },
  'PostgreSQL restarted': {
    needs: () => [POSTGRES],
    isForAll: true,
    inflict: async (postgres, _site, durationMs) => {
      await postgres.stop();
      await delay(durationMs / 3);
      await postgres.start();
    },
  },
  'PostgreSQL killed': {
    needs: () => [POSTGRES],
    isForAll: true,
    inflict: async (postgres, _site, durationMs) => {
      await postgres.kill();
      await delay(durationMs / 3);
      await postgres.start();
    },
  },
  // While the database goes back, calls must not be held up that were made before. Listeners may be silent.
  'database restored': {
    needs: (_site, sites) => [POSTGRES, ...sites.flatMap((site) => [process_(site), pool(site)])],
    isForAll: true,
    inflict: (_postgres, _site, durationMs, turns) => turns.restore(durationMs),
  },
  'PostgreSQL promoted': {
    needs: (_site, sites) => [POSTGRES, ...sites.flatMap((site) => [process_(site), pool(site)])],
    isForAll: true,
    inflict: (_postgres, _site, durationMs, turns) => turns.promote(durationMs),
  },
  // That a copy is an older one is noticed by those who have followed the database since it was made.
  'PostgreSQL put back': {
    needs: (_site, sites) => [
      POSTGRES,
      ...sites.flatMap((site) => [process_(site), pool(site), listener(site)]),
    ],
    isForAll: true,
    inflict: (_postgres, _site, durationMs, turns) => turns.putBack(durationMs),
  },
};

/** Kinds that come twice as often: what lease and stale time are for, and what makes memory learn late. */
const AGAIN: readonly Inflicted[] = [
  'replica paused',
  'pool and listener blackholed',
  'pool answers held back',
];
/** Faults at once, if they touch different things. */
const LANES = 2;
/** Each lane has that many faults, and up to that many more, before all is left to recover. */
const FEWEST_IN_A_ROW = 3;
const MAX_MORE_IN_A_ROW = 3;
const MAX_GAP_MS = 800;
/** In which replicas learn what they must remember, before the first fault. */
const WARM_UP_MS = 3_000;
/** A replica that was hit must be well again for some time, so that this is seen too. */
const REST_MS = 7_000;

export interface FaultPlan {
  readonly seed: number;
  readonly sites: readonly Site[];
  readonly postgres: DurablePostgres;
  readonly recorder: Recorder;
  readonly turns: Turns;
  readonly fleet: Fleet;
  /** Those that are made; all if not given. */
  readonly kinds?: readonly (Inflicted | ClientKind)[];
  /** Whether the database is taken back too, which takes some time. */
  readonly hasTurns: boolean;
  /** Of that many milliseconds, the last REST_MS are without faults. */
  readonly durationMs: number;
  readonly log: (line: string) => void;
}

/** inflictFaults draws faults at random, with rests in between, and returns after the last rest. */
export async function inflictFaults(plan: FaultPlan): Promise<void> {
  const until = plan.recorder.now() + plan.durationMs - REST_MS;
  const locks = new Locks();
  const lanes = Array.from({ length: LANES }, (_each, lane) => new Lane(plan, lane, locks));
  await delay(WARM_UP_MS);
  do {
    await Promise.all(lanes.map((lane) => lane.inflictSome(until)));
    await delay(REST_MS);
  } while (plan.recorder.now() < until);
}

/** inflict makes one fault, and writes down when it began and ended. */
export async function inflict(
  where: Pick<Fault, 'kind' | 'replica' | 'client'>,
  make: () => Promise<void>,
  { recorder, log }: Pick<FaultPlan, 'recorder' | 'log'>,
): Promise<void> {
  // It must be known even if the campaign ends or is checked while it lasts.
  const fault = { ...where, startedAt: recorder.now(), endedAt: Infinity };
  recorder.faults.push(fault);
  try {
    await make();
  } finally {
    fault.endedAt = recorder.now();
  }
  log(describe(fault));
}

/** drawDuration is sometimes short, mostly longer than a lease, sometimes longer than what may be bridged. */
export function drawDuration(random: Random): number {
  const part = random.below(4);
  if (part === 0) return 200 + random.below(1_300);
  if (part < 3) return 2_500 + random.below(3_000);
  return 5_000 + random.below(4_500);
}

/** shuffled are items in a random order. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  return items.flatMap(() => left.splice(random.below(left.length), 1));
}

/** Lane inflicts one fault after the other. Kinds are dealt like cards, so that each comes soon. */
class Lane {
  readonly #plan: FaultPlan;
  readonly #random: Random;
  readonly #locks: Locks;
  #deck: (Inflicted | ClientKind)[] = [];

  constructor(plan: FaultPlan, lane: number, locks: Locks) {
    this.#plan = plan;
    this.#random = new Random(plan.seed + 1_000 * (lane + 1));
    this.#locks = locks;
  }

  async inflictSome(until: number): Promise<void> {
    const { recorder } = this.#plan;
    const count = FEWEST_IN_A_ROW + this.#random.below(MAX_MORE_IN_A_ROW + 1);
    for (let done = 0; done < count && recorder.now() < until; done += 1) await this.#inflictOne();
  }

  async #inflictOne(): Promise<void> {
    const kind = this.#deal();
    const durationMs = drawDuration(this.#random);
    await delay(this.#random.below(MAX_GAP_MS));
    if (isOfClient(kind)) await this.#inflictOnClient(kind, durationMs);
    else await this.#inflictOnSite(kind, durationMs);
  }

  async #inflictOnSite(kind: Inflicted, durationMs: number): Promise<void> {
    const { sites, postgres, turns } = this.#plan;
    const site = this.#random.pick(sites);
    const { needs, isForAll, inflict: make } = MEANS[kind];
    const replica = isForAll ? undefined : site.index;
    await this.#locks.holding(needs(site, sites), () =>
      inflict({ kind, replica }, () => make(postgres, site, durationMs, turns), this.#plan),
    );
  }

  async #inflictOnClient(kind: ClientKind, durationMs: number): Promise<void> {
    const { sites, fleet, log } = this.#plan;
    const client = this.#random.pick(fleet.clients);
    const { needs, isForAll, inflict: make } = CLIENT_MEANS[kind];
    const where = isForAll
      ? { kind, replica: undefined }
      : { kind, replica: undefined, client: client.index };
    const scene = { client, fleet, sites, durationMs, random: this.#random, log };
    await this.#locks.holding(needs(client, sites), () => inflict(where, () => make(scene), this.#plan));
  }

  #deal(): Inflicted | ClientKind {
    const { hasTurns, fleet, kinds } = this.#plan;
    if (this.#deck.length === 0) {
      const turns = hasTurns ? [...TURN_KINDS, ...TURN_KINDS] : [];
      const ofClients = fleet.clients.length > 0 ? CLIENT_KINDS : [];
      this.#deck = shuffled(kinds ?? [...FAULT_KINDS, ...AGAIN, ...turns, ...ofClients], this.#random);
    }
    return this.#deck.pop() ?? this.#deal();
  }
}

function isOfClient(kind: Inflicted | ClientKind): kind is ClientKind {
  return (CLIENT_KINDS as readonly string[]).includes(kind);
}

function describe({ kind, replica, client, startedAt, endedAt }: Fault): string {
  const place = client ?? replica;
  const where = place === undefined ? '' : ` ${place}`;
  return `${kind}${where}, at ${(startedAt / 1000).toFixed(1)} s for ${((endedAt - startedAt) / 1000).toFixed(1)} s`;
}
