import { within, type Timer, type Timers } from '../lib/timers.js';
import type { Acknowledgements, Expectation } from './acknowledgements.js';
import type { Continuity } from './continuity.js';
import { registeredStaleMs, TTL_MS } from './lease.js';
import type { ClientCounts, Outcome, OwnClients, Registered, Registrations, ReplicaLease } from './ports.js';
import { Sightings } from './sightings.js';

/** Propagation tells how far a committed change has come when its call returns. */
export interface Propagation {
  /** True if no replica answers by what was before, not even with answers marked as stale. */
  readonly complete: boolean;
  /** Other replicas that have applied the change. */
  readonly acknowledged: number;
  /** Other replicas that may still answer by what was before; 0 as well if the database could not be asked. */
  readonly pending: number;
  /** Clients of all replicas that have forgotten what was changed; those of replicas that were heard of. */
  readonly clientsAcknowledged: number;
  /** Clients that did not say so before their lease ran out. */
  readonly clientsExpired: number;
  /** How long the call waited, in milliseconds. */
  readonly waitedMs: number;
  /** Unless complete: when it will be at the latest, in milliseconds since 1970 by this machine's clock. */
  readonly effectiveByMs?: number;
}

export interface PropagationDependencies {
  /** Id of the replica that makes the changes; it forgets by itself. */
  readonly replica: string;
  readonly registrations: Registrations;
  readonly acknowledgements: Acknowledgements;
  readonly continuity: Pick<Continuity, 'server' | 'confirmed'>;
  /** Clients of the replica that makes the changes; none if not given. */
  readonly clients?: OwnClients;
  readonly timers: Timers;
  /** Of this replica; taken for that of the others where these cannot be read. */
  readonly maxStaleMs: number;
}

/** An acknowledgement that has not come by then may be lost: what the replica registers tells as well. */
const POLL_MS = 500;
/** In which all must be read, however slow the database is, and whatever epochs begin. A lease is waited for after that. */
const MAX_READING_MS = 2 * TTL_MS;
/** Of one outcome; one more is for a server that was confirmed only after the first. */
const MAX_READINGS = 2;
/** Stands for all replicas that may have had a lease before the epoch began. Nobody knows them, and none acknowledges. */
const OF_EPOCHS_BEFORE = 'of epochs before';

/** UNSEEN is what is told of a change of which nothing could be found out. */
const UNSEEN = { complete: false, acknowledged: 0, pending: 0, clientsAcknowledged: 0, clientsExpired: 0 };
const NONE: ClientCounts = { acknowledged: 0, expired: 0 };

/** Lapsed are replicas that have not applied a change though their lease has run out, and clients of the others. */
interface Lapsed {
  readonly replicas: readonly ReplicaLease[];
  readonly clients: ClientCounts;
}

/** Waiting is a change that waits, with what was read for it. */
interface Waiting {
  readonly read: Registered;
  readonly expectation: Expectation;
  /** True once what was read does not count any more; `outdated` resolves then. */
  isOutdated: boolean;
  readonly outdated: Promise<void>;
  readonly outdate: () => void;
}

/** PropagationWait waits until a committed change is seen by all replicas. */
export class PropagationWait {
  readonly #deps: PropagationDependencies;
  readonly #sightings = new Sightings();
  readonly #waiting = new Set<Waiting>();
  #polledAt = -Infinity;

  constructor(deps: PropagationDependencies) {
    this.#deps = deps;
  }

  /**
   * after waits for the change whose transaction, committed before the call, placed the barrier.
   *
   * It waits for each replica that had a lease when the registrations were read, until that has acknowledged or its
   * lease, as it was read, has run out. A lease that is renewed later needs no waiting: its holder reads the
   * head after renewing, and so applies the change before it uses the renewal.
   *
   * Of leases that were granted before the epoch began nothing is known but that they are over a TTL after that.
   * If another epoch begins while it waits, all is read again. Three times the TTL is the longest that it takes in all.
   */
  async after(barrier: string): Promise<Propagation> {
    const { timers } = this.#deps;
    const startedAt = timers.monotonicMs();
    const latestEnd = timers.wallMs() + TTL_MS + registeredStaleMs(this.#deps.maxStaleMs);
    const waitedMs = () => timers.monotonicMs() - startedAt;
    while (waitedMs() < MAX_READING_MS) {
      const outcome = await this.#read(barrier, () => Math.min(TTL_MS, MAX_READING_MS - waitedMs()));
      if (outcome === undefined) break;
      const seen = await this.#seenByAll(outcome);
      if (seen !== undefined) return { ...seen, waitedMs: waitedMs() };
    }
    return { ...UNSEEN, waitedMs: waitedMs(), effectiveByMs: latestEnd };
  }

  /**
   * #read finds nothing out if the database does not answer in time, which it is told before each question.
   *
   * The server must have been confirmed before the reading began: what was read meanwhile may be of an epoch that the
   * confirmation ended.
   */
  async #read(barrier: string, limitMs: () => number): Promise<Outcome | undefined> {
    const { registrations, acknowledgements, continuity, timers } = this.#deps;
    try {
      for (let readings = 0; readings < MAX_READINGS; readings += 1) {
        const { server } = continuity;
        const outcome = await within(
          timers,
          limitMs(),
          'reading the replicas',
          registrations.outcome(barrier),
        );
        if (server === undefined || outcome.server === server) {
          acknowledgements.read(outcome);
          return outcome;
        }
        await continuity.confirmed(outcome.server, limitMs());
      }
    } catch {
      // The change is committed and must not be reported as failed: it is not known to be complete.
    }
    return undefined;
  }

  /** #seenByAll waits, and gives undefined if what was read does not count any more. */
  async #seenByAll(outcome: Outcome): Promise<Omit<Propagation, 'waitedMs'> | undefined> {
    const { timers, clients, replica: self } = this.#deps;
    // Before anything else can happen: a client that comes later gets no lease without the change.
    const own = clients?.settle(outcome);
    const readAt = { monotonicMs: timers.monotonicMs(), wallMs: timers.wallMs() };
    const bounded = this.#sightings.bound(outcome, readAt.monotonicMs);
    const others = [...bounded.filter(({ replica }) => replica !== self), ...this.#unknown(outcome)];
    const lapsed = await this.#applied(outcome, others, readAt.monotonicMs);
    if (lapsed === undefined) return undefined;
    const settled = own === undefined ? NONE : await own;
    const elapsed = timers.monotonicMs() - readAt.monotonicMs;
    const open = lapsed.replicas.filter(({ leftMs, maxStaleMs }) => leftMs + maxStaleMs > elapsed);
    const counts = {
      acknowledged: others.length - lapsed.replicas.length,
      pending: open.length,
      clientsAcknowledged: settled.acknowledged + lapsed.clients.acknowledged,
      clientsExpired: settled.expired + lapsed.clients.expired,
    };
    if (open.length === 0) return { complete: true, ...counts };
    const left = Math.max(...open.map(({ leftMs, maxStaleMs }) => leftMs + maxStaleMs));
    return { complete: false, ...counts, effectiveByMs: readAt.wallMs + left };
  }

  /** #unknown stands for those that may answer by a lease from before the epoch; nobody once none can any more. */
  #unknown({ epochAgeMs, replicas }: Outcome): ReplicaLease[] {
    if (epochAgeMs === undefined) return [];
    const own = registeredStaleMs(this.#deps.maxStaleMs);
    const maxStaleMs = Math.max(own, ...replicas.map((each) => each.maxStaleMs));
    const leftMs = TTL_MS - Math.max(0, epochAgeMs);
    if (leftMs + maxStaleMs <= 0) return [];
    return [{ replica: OF_EPOCHS_BEFORE, leftMs, maxStaleMs, applied: 0n, renewals: undefined }];
  }

  /**
   * #applied waits, and returns those that have not applied the change although their lease has run out; undefined if
   * what was read does not count any more.
   */
  async #applied(
    outcome: Outcome,
    others: readonly ReplicaLease[],
    readAt: number,
  ): Promise<Lapsed | undefined> {
    const { acknowledgements, timers } = this.#deps;
    const leases = new Map(others.map((lease) => [lease.replica, lease]));
    const waiting = newWaiting(outcome, acknowledgements.expect(outcome, [...leases.keys()]));
    const { expectation } = waiting;
    const { missing } = expectation;
    const lapsed: ReplicaLease[] = [];
    this.#waiting.add(waiting);
    try {
      while (!waiting.isOutdated) {
        const elapsed = timers.monotonicMs() - readAt;
        for (const replica of [...missing]) {
          const lease = leases.get(replica);
          if (lease === undefined || lease.leftMs > elapsed) continue;
          expectation.drop(replica);
          lapsed.push(lease);
        }
        if (missing.size === 0) break;
        const lefts = [...missing].map((replica) => leases.get(replica)?.leftMs ?? 0);
        await this.#over(waiting, Math.min(...lefts) - elapsed);
      }
    } finally {
      this.#waiting.delete(waiting);
      expectation.close();
    }
    if (waiting.isOutdated) return undefined;
    const replicas = lapsed.filter(({ replica }) => !acknowledgements.has(replica, outcome));
    return { replicas, clients: expectation.clients() };
  }

  /** #over waits until all have acknowledged, what was read is outdated, or some time has passed. */
  async #over({ expectation, outdated }: Waiting, ms: number): Promise<void> {
    let timer: Timer | undefined;
    const over = new Promise<void>((resolve) => {
      timer = this.#deps.timers.after(Math.min(POLL_MS, ms), () => {
        if (POLL_MS < ms) void this.#poll();
        resolve();
      });
    });
    await Promise.race([expectation.done, outdated, over]);
    timer?.cancel();
  }

  /** #poll looks for acknowledgements that were lost and for replicas that have left; at most twice a second for all. */
  async #poll(): Promise<void> {
    const { registrations, acknowledgements, timers } = this.#deps;
    if (this.#waiting.size === 0 || timers.monotonicMs() - this.#polledAt < POLL_MS) return;
    this.#polledAt = timers.monotonicMs();
    // Only those that were read before: a replica may have come after this reading and before another.
    const all = [...this.#waiting];
    try {
      const registered = await registrations.registered();
      acknowledgements.read(registered);
      this.#sightings.bound(registered, timers.monotonicMs());
      const present = new Set([OF_EPOCHS_BEFORE, ...registered.replicas.map(({ replica }) => replica)]);
      for (const waiting of all) {
        const { read, expectation } = waiting;
        // Who is not registered there may have been forgotten, and not have left.
        if (registered.epoch !== read.epoch || registered.server !== read.server) waiting.outdate();
        else
          for (const replica of [...expectation.missing])
            if (!present.has(replica)) expectation.drop(replica);
      }
    } catch {
      // The next poll finds it out, or else the leases run out.
    }
  }
}

function newWaiting(read: Registered, expectation: Expectation): Waiting {
  let resolve: () => void = () => undefined;
  const outdated = new Promise<void>((resolved) => {
    resolve = resolved;
  });
  const waiting: Waiting = {
    read,
    expectation,
    isOutdated: false,
    outdated,
    outdate: () => {
      waiting.isOutdated = true;
      resolve();
    },
  };
  return waiting;
}
