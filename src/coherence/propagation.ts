import { within, type Timer, type Timers } from '../lib/timers.js';
import type { Acknowledgements, Expectation } from './acknowledgements.js';
import { registeredStaleMs, TTL_MS } from './lease.js';
import type { Outcome, Registrations, ReplicaLease } from './ports.js';

/** Propagation tells how far a committed change has come when its call returns. */
export interface Propagation {
  /** True if no replica answers by what was before, not even with answers marked as stale. */
  readonly complete: boolean;
  /** Other replicas that have applied the change. */
  readonly acknowledged: number;
  /** Other replicas that may still answer by what was before; 0 as well if the database could not be asked. */
  readonly pending: number;
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
  readonly timers: Timers;
  /** Of this replica; taken for that of the others where these cannot be read. */
  readonly maxStaleMs: number;
}

/** An acknowledgement that has not come by then may be lost: what the replica registers tells as well. */
const POLL_MS = 500;

/** PropagationWait waits until a committed change is seen by all replicas. */
export class PropagationWait {
  readonly #deps: PropagationDependencies;
  readonly #expectations = new Set<Expectation>();
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
   */
  async after(barrier: string): Promise<Propagation> {
    const { timers, replica: self } = this.#deps;
    const startedAt = timers.monotonicMs();
    const latestEnd = timers.wallMs() + TTL_MS + registeredStaleMs(this.#deps.maxStaleMs);
    const outcome = await this.#read(barrier);
    const waitedMs = () => timers.monotonicMs() - startedAt;
    if (outcome === undefined) {
      return { complete: false, acknowledged: 0, pending: 0, waitedMs: waitedMs(), effectiveByMs: latestEnd };
    }
    const readAt = { monotonicMs: timers.monotonicMs(), wallMs: timers.wallMs() };
    const others = outcome.replicas.filter(({ replica }) => replica !== self);
    const lapsed = await this.#applied(outcome.revision, others, readAt.monotonicMs);
    const elapsed = timers.monotonicMs() - readAt.monotonicMs;
    const open = lapsed.filter(({ leftMs, maxStaleMs }) => leftMs + maxStaleMs > elapsed);
    const counts = {
      acknowledged: others.length - lapsed.length,
      pending: open.length,
      waitedMs: waitedMs(),
    };
    if (open.length === 0) return { complete: true, ...counts };
    const left = Math.max(...open.map(({ leftMs, maxStaleMs }) => leftMs + maxStaleMs));
    return { complete: false, ...counts, effectiveByMs: readAt.wallMs + left };
  }

  /** #read finds nothing out if the database does not answer in time. */
  async #read(barrier: string): Promise<Outcome | undefined> {
    const { registrations, acknowledgements, timers } = this.#deps;
    try {
      const outcome = await within(timers, TTL_MS, 'reading the replicas', registrations.outcome(barrier));
      acknowledgements.read(outcome.replicas);
      return outcome;
    } catch {
      // The change is committed and must not be reported as failed: it is not known to be complete.
      return undefined;
    }
  }

  /** #applied waits, and returns those that have not applied the revision although their lease has run out. */
  async #applied(revision: bigint, others: readonly ReplicaLease[], readAt: number): Promise<ReplicaLease[]> {
    const { acknowledgements, timers } = this.#deps;
    const leases = new Map(others.map((lease) => [lease.replica, lease]));
    const expectation = acknowledgements.expect(revision, [...leases.keys()]);
    const lapsed: ReplicaLease[] = [];
    this.#expectations.add(expectation);
    try {
      for (;;) {
        const elapsed = timers.monotonicMs() - readAt;
        for (const replica of [...expectation.missing]) {
          const lease = leases.get(replica);
          if (lease === undefined || lease.leftMs > elapsed) continue;
          expectation.drop(replica);
          lapsed.push(lease);
        }
        if (expectation.missing.size === 0) break;
        const lefts = [...expectation.missing].map((replica) => leases.get(replica)?.leftMs ?? 0);
        await this.#doneWithin(expectation, Math.min(...lefts) - elapsed);
      }
    } finally {
      this.#expectations.delete(expectation);
      expectation.close();
    }
    return lapsed.filter(({ replica }) => !acknowledgements.has(replica, revision));
  }

  /** #doneWithin waits until all have acknowledged, or for some time. */
  async #doneWithin({ done }: Expectation, ms: number): Promise<void> {
    let timer: Timer | undefined;
    const over = new Promise<void>((resolve) => {
      timer = this.#deps.timers.after(Math.min(POLL_MS, ms), () => {
        if (POLL_MS < ms) void this.#poll();
        resolve();
      });
    });
    await Promise.race([done, over]);
    timer?.cancel();
  }

  /** #poll looks for acknowledgements that were lost and for replicas that have left; at most twice a second for all. */
  async #poll(): Promise<void> {
    const { registrations, acknowledgements, timers } = this.#deps;
    if (this.#expectations.size === 0 || timers.monotonicMs() - this.#polledAt < POLL_MS) return;
    this.#polledAt = timers.monotonicMs();
    // Only those that were read before: a replica may have come after this reading and before another.
    const expectations = [...this.#expectations];
    try {
      const replicas = await registrations.replicas();
      acknowledgements.read(replicas);
      const registered = new Set(replicas.map(({ replica }) => replica));
      for (const expectation of expectations) {
        for (const replica of [...expectation.missing]) {
          if (!registered.has(replica)) expectation.drop(replica);
        }
      }
    } catch {
      // The next poll finds it out, or else the leases run out.
    }
  }
}
