import type { Transaction } from '../db/knex.js';
import type { Digest } from '../token/token.js';

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

/** Notice is what one transaction changed. A later transaction has a higher revision, without gaps. */
export interface Notice {
  readonly revision: bigint;
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
  /** The revision up to which it has applied every change. */
  readonly applied: bigint;
}

/** ReplicaLease is a registration as it was read, by the clock of the database. */
export interface ReplicaLease {
  readonly replica: string;
  /** Milliseconds of the lease that were left; negative once it has run out. */
  readonly leftMs: number;
  readonly maxStaleMs: number;
  readonly applied: bigint;
}

/** Session is one connection to the database. Every promise rejects when it is lost, and it is of no use then. */
export interface Session {
  /** listen begins to receive notices and acknowledgements. */
  listen(): Promise<void>;
  /** renew registers the replica; that is committed when the promise resolves. */
  renew(terms: LeaseTerms): Promise<void>;
  /** head is the latest revision that is committed; 0 before the first. */
  head(): Promise<bigint>;
  /** noticesAfter gives the notices of all revisions after one up to another, in order; 'pruned' if some are gone. */
  noticesAfter(revision: bigint, upTo: bigint): Promise<readonly Notice[] | 'pruned'>;
  /** acknowledge tells writers that this replica has applied everything up to a revision. */
  acknowledge(writers: readonly string[], revision: bigint): Promise<void>;
  /** leave removes the registration, so that nobody waits for this replica any more. */
  leave(): Promise<void>;
  /** close ends the session at once, without onLost. */
  close(): void;
}

export interface SessionEvents {
  onNotice(notice: Notice): void;
  onAcknowledged(replica: string, revision: bigint): void;
  /** onLost is called once, when the session ends without `close`. */
  onLost(error: Error): void;
}

/** Connector makes sessions. `timeoutMs` bounds connecting, and each statement afterwards. */
export interface Connector {
  connect(replica: string, events: SessionEvents, timeoutMs: number): Promise<Session>;
}

/** Outcome is what a writer has to know once its transaction is committed. */
export interface Outcome {
  readonly revision: bigint;
  /** All registered replicas, the writer's own included. */
  readonly replicas: readonly ReplicaLease[];
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
  replicas(): Promise<readonly ReplicaLease[]>;
}

/** Memory is what is kept right by notices. */
export interface Memory {
  forget(eviction: Eviction): void;
  /** clear forgets everything, and loads under way are not kept. */
  clear(): void;
}
