import { Lease, TTL_MS } from '../../../src/coherence/lease.js';
import { MissLoader } from '../../../src/token/miss-loader.js';
import type {
  Connector,
  Eviction,
  Head,
  LeaseTerms,
  Memory,
  Notice,
  ServerHead,
} from '../../../src/coherence/ports.js';
import type { Timers } from '../../../src/lib/timers.js';
import { callPool, type Place, type SimulatedConnector, type SimulatedSession } from './connection.js';
import { BROKEN_CLIENTS } from './broken-clients.js';
import { BROKEN_EPOCHS } from './broken-epochs.js';
import { each, PassingSession } from './passing-session.js';
import type { Parts } from './simulated-replica.js';
import { spoiling } from './spoiling.js';

/** Broken is a protocol that is wrong in one point. */
interface Broken {
  readonly parts?: Parts;
  /** Makes a part wrong that is not handed in, until what is returned is called. */
  readonly spoil?: () => () => void;
}

export const BROKEN: Readonly<Record<string, Broken>> = {
  'the lease is not checked when memory answers': {
    parts: { lease: (timers, maxStaleMs) => new UncheckedLease(timers, maxStaleMs) },
  },
  'a change is acknowledged before it is applied': {
    parts: {
      memory: (memory, timers) => ({
        forget: (eviction: Eviction) => void timers.after(20, () => memory.forget(eviction)),
        clear: () => memory.clear(),
      }),
    },
  },
  'a load that began before a change puts back what was before': {
    spoil: () =>
      spoiling(MissLoader.prototype, () => ({ outdate: () => undefined, outdateAll: () => undefined })),
  },
  'the lease is renewed on another session than the one that listens': {
    parts: { connector: (connector, _memory, place) => renewingElsewhere(connector, place) },
  },
  'the lease counts from the reply to its renewal': {
    parts: { lease: (timers, maxStaleMs) => new LateLease(timers, maxStaleMs) },
  },
  'the lease lasts as long as the database believes, whatever the clocks': {
    parts: { lease: (timers, maxStaleMs) => new WholeLease(timers, maxStaleMs) },
  },
  'the head is read in the snapshot of the renewal': {
    parts: { connector: (connector) => each(connector, (session) => new SameSnapshot(session)) },
  },
  'memory is not cleared on a new session': {
    parts: {
      memory: (memory) => ({ forget: (eviction) => memory.forget(eviction), clear: () => undefined }),
    },
  },
  'on a new session memory is cleared before the head is read, not after': clearingTooEarly(),
  'the lease does not look at the wall clock': {
    parts: { lease: (timers, maxStaleMs) => new Lease(withoutWall(timers), maxStaleMs) },
  },
  'without a lease, a load is joined that began before': {
    spoil: () =>
      spoiling(MissLoader.prototype, () => ({
        loadAnew(digest, startedAt) {
          return this.load(digest, startedAt);
        },
      })),
  },
  'a change is called complete although stale answers may come': {
    parts: {
      registrations: (registrations) => ({
        outcome: async (barrier) => {
          const outcome = await registrations.outcome(barrier);
          return { ...outcome, replicas: outcome.replicas.map((each) => ({ ...each, maxStaleMs: 0 })) };
        },
        registered: () => registrations.registered(),
      }),
    },
  },
  ...BROKEN_EPOCHS,
  ...BROKEN_CLIENTS,
};

class UncheckedLease extends Lease {
  override holds(): boolean {
    return true;
  }
}

class LateLease extends Lease {
  override extend(): void {
    super.extend(this.moment());
  }
}

class WholeLease extends Lease {
  override extend(sent: ReturnType<Lease['moment']>): void {
    super.extend({ monotonicMs: sent.monotonicMs + TTL_MS / 30, wallMs: sent.wallMs + TTL_MS / 30 });
  }
}

function withoutWall(timers: Timers): Timers {
  return {
    monotonicMs: () => timers.monotonicMs(),
    wallMs: () => 0,
    after: (ms, run) => timers.after(ms, run),
    random: () => timers.random(),
  };
}

class SameSnapshot extends PassingSession {
  override head(): Promise<ServerHead> {
    const { headBeforeRenewal } = this.session;
    return headBeforeRenewal === undefined ? this.session.head() : Promise.resolve(headBeforeRenewal);
  }
}

/** RenewingElsewhere renews over the pool, and takes for the head what it was told by notices. */
class RenewingElsewhere extends PassingSession {
  readonly #place: Place;
  readonly #replica: string;
  #heard: ServerHead | undefined;

  constructor(session: SimulatedSession, place: Place, replica: string) {
    super(session);
    this.#place = place;
    this.#replica = replica;
  }

  hear({ epoch, revision }: Head): void {
    if (this.#heard === undefined) return;
    if (epoch === this.#heard.epoch && revision <= this.#heard.revision) return;
    this.#heard = { ...this.#heard, epoch, revision };
  }

  override renew(terms: LeaseTerms): Promise<bigint> {
    return callPool(this.#place, (done) => {
      done(this.#place.database.registerFromPool(this.#replica, terms));
    });
  }

  override async head(): Promise<ServerHead> {
    this.#heard ??= await this.session.head();
    return this.#heard;
  }
}

function renewingElsewhere(connector: SimulatedConnector, place: Place): Connector {
  return {
    connect: async (replica, events, timeoutMs) => {
      const hearing: { session?: RenewingElsewhere } = {};
      const onNotice = (notice: Notice): void => {
        hearing.session?.hear(notice);
        events.onNotice(notice);
      };
      const opened = await connector.connect(replica, { ...events, onNotice }, timeoutMs);
      hearing.session = new RenewingElsewhere(opened, place, replica);
      return hearing.session;
    },
  };
}

/** clearingTooEarly clears when a session is opened, and leaves out the next time. */
function clearingTooEarly(): Broken {
  const cleared = new WeakSet<Memory>();
  return {
    parts: {
      memory: (memory) => ({
        forget: (eviction) => memory.forget(eviction),
        clear: () => {
          if (!cleared.delete(memory)) memory.clear();
        },
      }),
      connector: (connector, memory) => ({
        connect: async (replica, events, timeoutMs) => {
          const session = await connector.connect(replica, events, timeoutMs);
          memory.clear();
          cleared.add(memory);
          return session;
        },
      }),
    },
  };
}
