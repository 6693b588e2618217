import { ChangeFeedRepository } from './coherence/change-feed-repository.js';
import { Acknowledgements } from './coherence/acknowledgements.js';
import { Continuity } from './coherence/continuity.js';
import { CountingConnector } from './coherence/counting-connector.js';
import { FeedBroadcast } from './watch/feed-broadcast.js';
import { Lease, TTL_MS } from './coherence/lease.js';
import { OneDatabase } from './coherence/one-database.js';
import { OutagePolicy, type Source } from './coherence/outage-policy.js';
import type { Description, Eviction, Holders, Memory, OwnClients } from './coherence/ports.js';
import { PropagatedChanges } from './coherence/propagated-changes.js';
import { PropagationWait } from './coherence/propagation.js';
import { Replica } from './coherence/replica.js';
import { SessionConnector } from './coherence/session-repository.js';
import type { Database } from './db/knex.js';
import { Pruner } from './db/pruner.js';
import type { Closer } from './lib/closer.js';
import type { Timers } from './lib/timers.js';
import type { Logger } from './telemetry/logger.js';
import type { CoherenceMetrics } from './telemetry/coherence-metrics.js';

export interface CoherenceDependencies {
  readonly knex: Database;
  /** Leads to a session of its own in the same database. */
  readonly listenUrl: string;
  readonly replicaId: string;
  /** Of the service. */
  readonly version: string;
  /** The key that this process encrypts with. */
  readonly keyId: string;
  /** Milliseconds for which answers may be stale once the database is lost. */
  readonly maxStaleMs: number;
  readonly timers: Timers;
  /** Milliseconds that a lookup waits for the database. */
  readonly databaseTimeoutMs: number;
  /** Aborted when those who watch must go. */
  readonly stopping: AbortSignal;
  readonly logger: Logger;
  readonly metrics: CoherenceMetrics;
}

/** Clients are those that hold what this process remembers. */
interface Clients extends Holders, OwnClients {
  onSettled: () => void;
  description(): Omit<Description, 'version'>;
}

const PRUNE_INTERVAL_MS = 600_000;

/** Coherence joins the parts by which this process agrees with all others on what is remembered. */
export class Coherence {
  /** feed is the changes that all replicas have made. */
  readonly feed: ChangeFeedRepository;
  /** broadcast tells of them. */
  readonly broadcast: FeedBroadcast;
  /** changes makes those of this one. */
  readonly changes: PropagatedChanges;
  readonly #deps: CoherenceDependencies;
  /** lease is what answers from memory are given under. */
  readonly lease: Lease;
  readonly #acknowledgements = new Acknowledgements();
  readonly #continuity: Continuity;
  readonly #memories: Memory[] = [];
  #clients: Clients | undefined;

  constructor(deps: CoherenceDependencies) {
    const { knex, replicaId: replica, maxStaleMs, timers, stopping, metrics } = deps;
    this.#deps = deps;
    this.lease = new Lease(timers, maxStaleMs);
    this.#continuity = new Continuity(timers);
    this.feed = new ChangeFeedRepository(knex);
    this.broadcast = new FeedBroadcast(this.feed, timers, stopping);
    const wait = new PropagationWait({
      replica,
      registrations: this.feed,
      acknowledgements: this.#acknowledgements,
      continuity: this.#continuity,
      clients: { settle: (head) => this.#clients?.settle(head) },
      timers,
      maxStaleMs,
    });
    this.changes = new PropagatedChanges({ knex, replica, barriers: this.feed, wait, metrics });
  }

  /** outageMs is for how long memory answers at most once the database is lost. */
  get outageMs(): number {
    return TTL_MS + this.#deps.maxStaleMs;
  }

  /** guard keeps a memory right from `start` on, and lets it answer only as far as it may. */
  guard<Record>(memory: Memory & Source<Record>): OutagePolicy<Record> {
    this.#memories.push(memory);
    const { timers, databaseTimeoutMs } = this.#deps;
    return new OutagePolicy(memory, this.lease, timers, databaseTimeoutMs);
  }

  /** lend lets clients hold what this process remembers, from `start` on. */
  lend(clients: Clients): void {
    this.#clients = clients;
  }

  /** start begins to follow changes, and returns once they are followed or that has failed for the first time. */
  async start(closer: Closer): Promise<void> {
    const { replicaId: id, listenUrl, keyId, timers, logger, metrics } = this.#deps;
    const pruner = new Pruner(this.feed, 'changes', logger);
    pruner.start(PRUNE_INTERVAL_MS);
    closer.add('the removal of old changes', () => pruner.stop());
    const replica = new Replica({
      id,
      connector: new CountingConnector(
        new OneDatabase(new SessionConnector(listenUrl, keyId, () => this.#describe()), this.feed),
        metrics,
      ),
      memory: together(this.#memories),
      lease: this.lease,
      acknowledgements: this.#acknowledgements,
      continuity: this.#continuity,
      timers,
      logger,
      ...(this.#clients === undefined ? {} : { holders: this.#clients }),
      onApplied: (head) => {
        this.broadcast.wake(head);
      },
    });
    if (this.#clients !== undefined) this.#clients.onSettled = () => replica.settled();
    metrics.watch({ holdsLease: () => this.lease.holds(), revisionApplied: () => replica.applied });
    closer.add('the following of changes', () => this.#stop(replica));
    replica.start();
    await replica.firstAttempt;
  }

  #describe(): Description {
    const { version } = this.#deps;
    return { version, ...(this.#clients?.description() ?? { clients: 0, groups: [] }) };
  }

  async #stop(replica: Replica): Promise<void> {
    await replica.stop();
    const { replicaId, logger } = this.#deps;
    try {
      // It could not sign off by itself if its session was lost.
      await this.feed.remove(replicaId);
    } catch (error) {
      logger.warn({ err: error }, 'the replica could not be deregistered; changes wait until its lease ends');
    }
  }
}

/** together makes one memory of several. */
function together(memories: readonly Memory[]): Memory {
  return {
    forget: (eviction: Eviction) => {
      for (const memory of memories) memory.forget(eviction);
    },
    clear: () => {
      for (const memory of memories) memory.clear();
    },
  };
}
