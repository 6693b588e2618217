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
  /** Secrets of which a value, a grant or anything else was changed; 'all' where they are not known. */
  readonly secretIds: readonly bigint[] | 'all';
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
  /** Up to where every change is settled; undefined before the first session. */
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
  /** acknowledge tells writers that everything up to a head is settled at this replica, and what its clients had to do with that. */
  acknowledge(writers: readonly string[], settled: Head, clients: readonly ClientsTold[]): Promise<void>;
  /** endEpoch lets another epoch begin, unless one has. */
  endEpoch(epoch: string): Promise<void>;
  /** leave removes the registration, so that nobody waits for this replica any more. */
  leave(): Promise<void>;
  /** close ends the session at once, without onLost. */
  close(): void;
}

export interface SessionEvents {
  onNotice(notice: Notice): void;
  onAcknowledged(replica: string, settled: Head, clients: readonly ClientsTold[]): void;
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

/** ClientCounts are the clients of a replica that a change concerned while they had a lease. */
export interface ClientCounts {
  /** Those that have forgotten what was changed. */
  readonly acknowledged: number;
  /** Those whose lease ran out before they said so. */
  readonly expired: number;
}

/** ClientsTold are those of one revision. */
export interface ClientsTold extends ClientCounts {
  readonly revision: bigint;
}

/** Holders are clients that answer from memories of their own, under leases cut from that of this replica. */
export interface Holders {
  /** changed tells those who hold what was changed. It is called once that is applied here, in the same turn. */
  changed(eviction: Eviction, applied: Head, before: Head | undefined): void;
  /** Up to where no client answers by what was before; as far as what is applied, unless clients are waited for. */
  readonly settled: Head | undefined;
  /** told gives the clients that revisions concerned, for those that concerned any. */
  told(revisions: readonly bigint[]): readonly ClientsTold[];
}

/** OwnClients are the clients of the replica that makes a change. */
export interface OwnClients {
  /**
   * settle resolves when none of them answers by what was before a head; undefined if none has a lease. No lease is granted
   * from then on before that head is applied.
   */
  settle(head: Head): Promise<ClientCounts> | undefined;
}

/** Description is what a replica tells people of itself. */
export interface Description {
  /** Of the service. */
  readonly version: string;
  /** How many clients hold what it has told them. */
  readonly clients: number;
  readonly groups: readonly ClientGroup[];
}

/** ClientGroup is clients of one label and software. */
export interface ClientGroup {
  readonly label: string;
  readonly agent: string;
  readonly clients: number;
  /** What they hold. */
  readonly entries: number;
}

/** Memory is what is kept right by notices. */
export interface Memory {
  forget(eviction: Eviction): void;
  /** clear forgets everything, and loads under way are not kept. */
  clear(): void;
}
