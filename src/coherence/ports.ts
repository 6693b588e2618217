import type { Transaction } from '../db/knex.js';
import type { Digest } from '../crypto/digest.js';

/** Eviction is what a replica must forget. */
export interface Eviction {
  /** True if anything may have changed; the rest is empty then. */
  readonly everything: boolean;
  /** Digests of tokens. */
  readonly digests: readonly Digest[];
  /** Whose records to forget: those that match any of these ids. */
  readonly owners: {
    readonly userIds: readonly bigint[];
    readonly accountIds: readonly bigint[];
    readonly profileIds: readonly bigint[];
  };
}

/** Head is how far an epoch has come. Revisions of one epoch are never taken back; those of two cannot be compared. */
export interface Head {
  readonly epoch: string;
  /** The latest revision; 0 before the first. */
  readonly revision: bigint;
}

/** ServerHead is the head as one run of the database server tells it. */
export interface ServerHead extends Head {
  /** Tells that run from all others, also from one with a copy of its data. */
  readonly server: string;
}

/** Notice is what one transaction changed. A later transaction of its epoch has a higher revision, without gaps. */
export interface Notice extends Head {
  readonly eviction: Eviction;
  /** Ids of the replicas that wait for this revision to be applied. */
  readonly writers: readonly string[];
}

/** LeaseTerms are what a replica registers with each renewal. */
export interface LeaseTerms {
  /** Milliseconds from now on for which it may answer from memory. */
  readonly ttlMs: number;
  /** Milliseconds after that for which it may give answers marked as stale; 0 for none. */
  readonly maxStaleMs: number;
  /** Up to where it has applied every change; undefined before the first session. */
  readonly applied: Head | undefined;
}

/** ReplicaLease is a registration as it was read, by the clock of the database. */
export interface ReplicaLease {
  readonly replica: string;
  /** Milliseconds of the lease that were left, never more than it lasts; negative once it has run out. */
  readonly leftMs: number;
  readonly maxStaleMs: number;
  /** The revision of the present epoch up to which it has applied every change. */
  readonly applied: bigint;
  /** Is another after each renewal; undefined of a version that does not count. */
  readonly renewals: bigint | undefined;
}

/** Session is one connection to the database. Every promise rejects when it is lost, and it is of no use then. */
export interface Session {
  /** listen begins to receive notices and acknowledgements. */
  listen(): Promise<void>;
  /** renew registers the replica, which is committed when the promise resolves, and tells how often it has done so. */
  renew(terms: LeaseTerms): Promise<bigint>;
  /** head is the latest revision that is committed. */
  head(): Promise<ServerHead>;
  /**
   * noticesAfter gives the notices of all revisions after one up to another, in order; 'pruned' if some are gone. If
   * the epoch is another meanwhile, the next head tells.
   */
  noticesAfter(after: Head, upTo: bigint): Promise<readonly Notice[] | 'pruned'>;
  /** acknowledge tells writers that this replica has applied everything up to a head. */
  acknowledge(writers: readonly string[], applied: Head): Promise<void>;
  /** endEpoch lets another epoch begin, unless one has. */
  endEpoch(epoch: string): Promise<void>;
  /** leave removes the registration, so that nobody waits for this replica any more. */
  leave(): Promise<void>;
  /** close ends the session at once, without onLost. */
  close(): void;
}

export interface SessionEvents {
  onNotice(notice: Notice): void;
  onAcknowledged(replica: string, applied: Head): void;
  /** onLost is called once, when the session ends without `close`. */
  onLost(error: Error): void;
}

/** Connector makes sessions. `timeoutMs` bounds connecting, and each statement afterwards. */
export interface Connector {
  connect(replica: string, events: SessionEvents, timeoutMs: number): Promise<Session>;
}

/** Registered is who may answer from memory, as it was read. */
export interface Registered {
  readonly epoch: string;
  /** Milliseconds since the epoch began; undefined if nobody remembers anything of what was before it. */
  readonly epochAgeMs: number | undefined;
  /** As in ServerHead. */
  readonly server: string;
  /** All replicas that are registered in the epoch. */
  readonly replicas: readonly ReplicaLease[];
}

/** Outcome is what a writer has to know once its transaction is committed. */
export interface Outcome extends Registered {
  readonly revision: bigint;
}

/** Barriers make a transaction one whose revision can be asked for. */
export interface Barriers {
  /** place gives the transaction a revision even if it changes nothing. `id` is a new UUID, `writer` a replica's. */
  place(trx: Transaction, id: string, writer: string): Promise<void>;
}

/** Registrations are what a writer reads to know whom to wait for. */
export interface Registrations {
  /** outcome is asked for by the id of a barrier, after commit. */
  outcome(barrier: string): Promise<Outcome>;
  registered(): Promise<Registered>;
}

/** Memory is what is kept right by notices. */
export interface Memory {
  forget(eviction: Eviction): void;
  /** clear forgets everything, and loads under way are not kept. */
  clear(): void;
}
