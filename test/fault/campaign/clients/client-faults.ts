import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../../../support/random.js';
import type { TcpProxy } from '../../../support/tcp-proxy.js';
import type { CLIENT_KINDS } from '../history.js';
import type { Site } from '../site.js';
import type { ClientSite } from './client-site.js';
import type { Fleet } from './fleet.js';

export type ClientKind = (typeof CLIENT_KINDS)[number];

/** ClientScene is where a fault of a client is made. */
interface ClientScene {
  readonly client: ClientSite;
  readonly fleet: Fleet;
  readonly sites: readonly Site[];
  readonly durationMs: number;
  readonly random: Random;
  readonly log: (line: string) => void;
}

interface ClientMeans {
  /** What no other fault may touch meanwhile. */
  readonly needs: (client: ClientSite, sites: readonly Site[]) => readonly string[];
  /** It is over when the promise resolves. */
  readonly inflict: (scene: ClientScene) => Promise<void>;
  /** True where the replicas feel it. */
  readonly isForAll?: true;
}

/** What is sent comes by so much later at most. Beyond a quarter of a second a client counts as slow. */
const MAX_DELAY_MS = 600;
/** In which what was held back comes through. */
const GAP_MS = 5;
const HOUR_MS = 3_600_000;

const itself = ({ index }: ClientSite) => [`client ${index}`];

export const CLIENT_MEANS: Readonly<Record<ClientKind, ClientMeans>> = {
  'client paused': {
    needs: itself,
    inflict: async ({ client, durationMs }) => {
      client.pause();
      await delay(durationMs);
      client.resume();
    },
  },
  'client killed': {
    needs: itself,
    inflict: async ({ client, durationMs }) => {
      await client.kill();
      await delay(durationMs / 3);
      await client.start();
    },
  },
  'client delayed': {
    needs: itself,
    inflict: async ({ client: { ways }, durationMs, random }) => {
      const delayMs = random.below(MAX_DELAY_MS);
      const until = performance.now() + durationMs;
      while (performance.now() < until) {
        for (const way of ways) way.silence();
        await delay(delayMs);
        for (const way of ways) way.mend();
        await delay(GAP_MS);
      }
    },
  },
  'client cut off': onWays((way) => way.cut()),
  'client half-closed': onWays((way, random) => way.halfClose(random.pick(['near', 'far']))),
  'client blackholed': onWays((way) => way.silence()),
  'client clock set': {
    needs: itself,
    inflict: async ({ client, durationMs, random }) => {
      client.tell({ stepClock: random.pick([-HOUR_MS, -2_000, 2_000, HOUR_MS]) });
      await delay(durationMs);
      client.tell({ stepClock: 0 });
    },
  },
  'replicas updated': {
    needs: (_client, sites) => [
      'PostgreSQL',
      ...sites.flatMap(({ index }) => [`process ${index}`, `pool ${index}`, `listener ${index}`]),
    ],
    isForAll: true,
    inflict: async ({ fleet, sites, log }) => {
      const before = await fleet.held();
      for (const site of sites) {
        await site.stop();
        await site.start();
      }
      const after = await fleet.held();
      log(
        `the clients held ${before} of ${fleet.heldIfAll} before all replicas were updated, ${after} after it`,
      );
    },
  },
};

/** onWays breaks the way to one replica, or sometimes those to all. */
function onWays(breaks: (way: TcpProxy, random: Random) => void): ClientMeans {
  return {
    needs: itself,
    inflict: async ({ client: { ways }, durationMs, random }) => {
      const broken = random.chance(0.5) ? ways : [random.pick(ways)];
      for (const way of broken) breaks(way, random);
      await delay(durationMs);
      for (const way of broken) way.mend();
    },
  };
}
