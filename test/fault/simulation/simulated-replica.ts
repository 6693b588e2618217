import { Acknowledgements } from '../../../src/coherence/acknowledgements.js';
import { Continuity } from '../../../src/coherence/continuity.js';
import { Lease } from '../../../src/coherence/lease.js';
import { HolderHub } from '../../../src/holders/holder-hub.js';
import type { OwnClients } from '../../../src/coherence/ports.js';
import { OutagePolicy } from '../../../src/coherence/outage-policy.js';
import type { Connector, Memory, Notice, Registered, Registrations } from '../../../src/coherence/ports.js';
import { PropagationWait, type Propagation } from '../../../src/coherence/propagation.js';
import { Replica } from '../../../src/coherence/replica.js';
import { VerdictCache, type CachedOwner, type OwnerFacts } from '../../../src/token/verdict-cache.js';
import type { Timers } from '../../../src/lib/timers.js';
import { callPool, SimulatedConnector, type Place } from './connection.js';
import { digestOf, evictionOf, type Change } from './database.js';

interface Facts {
  readonly version: number;
  readonly owner: OwnerFacts;
}

export interface TokenRecord {
  readonly version: number;
  readonly owner: CachedOwner;
  readonly staleAt: number;
}

/** Parts are what a replica is made of; a variant that is broken on purpose makes one of them wrongly. */
export interface Parts {
  readonly lease?: (timers: Timers, maxStaleMs: number) => Lease;
  readonly connector?: (connector: SimulatedConnector, memory: Memory, place: Place) => Connector;
  readonly memory?: (memory: Memory, timers: Timers) => Memory;
  readonly registrations?: (registrations: Registrations, place: Place) => Registrations;
  readonly acknowledgements?: () => Acknowledgements;
  readonly continuity?: (timers: Timers) => Continuity;
  /** The lease that those of clients are cut from. */
  readonly lentLease?: (lease: Lease, timers: Timers) => Pick<Lease, 'holds' | 'leftMs' | 'isRenewedSince'>;
  readonly ownClients?: (hub: OwnClients) => OwnClients;
  readonly clients?: ClientParts;
}

/** ClientParts are what clients, and the streams to them, do wrongly. */
export interface ClientParts {
  readonly countsFromReceipt?: true;
  readonly keepsWhatItMayNot?: true;
  readonly comesWithoutHandles?: true;
  /** Milliseconds by which invalidations come later than what is sent after them. */
  readonly delaysInvalidations?: number;
  readonly readsBeforeRegistering?: true;
  readonly forgetsWhenCut?: true;
  readonly signsOffEarly?: true;
}

const TTL_MS = 6_000;
/** Fewer than there are tokens, so that some have to go. */
const MAX_ENTRIES = 3;
const DATABASE_TIMEOUT_MS = 5_000;
const SILENT = { info: () => undefined, warn: () => undefined };

/** SimulatedReplica is one process of the service: the real protocol on a simulated machine. */
export class SimulatedReplica {
  readonly place: Place;
  readonly connector: SimulatedConnector;
  readonly lease: Lease;
  readonly replica: Replica;
  readonly policy: OutagePolicy<TokenRecord>;
  readonly hub: HolderHub<TokenRecord>;
  readonly parts: Parts;
  /** What must be told of the end of the process. */
  readonly onEnd = new Set<() => void>();
  readonly #cache: VerdictCache<Facts, TokenRecord>;
  readonly #wait: PropagationWait;
  readonly #id: string;

  constructor(id: string, place: Place, maxStaleMs: number, parts: Parts) {
    const { process } = place;
    this.#id = id;
    this.place = place;
    this.parts = parts;
    this.#cache = new VerdictCache<Facts, TokenRecord>({
      fetch: (digests) => callPool(place, (done) => done(this.#read(digests))),
      ownerOf: ({ owner }) => owner,
      toRecord: ({ version }, owner, staleAt) => ({ version, owner, staleAt }),
      clock: { now: () => process.wallMs() },
      maxEntries: 8,
      ttlMs: TTL_MS,
    });
    const acknowledgements = parts.acknowledgements?.() ?? new Acknowledgements();
    const continuity = parts.continuity?.(process) ?? new Continuity(process);
    const memory = parts.memory?.(this.#cache, process) ?? this.#cache;
    this.connector = new SimulatedConnector(place);
    this.lease = parts.lease?.(process, maxStaleMs) ?? new Lease(process, maxStaleMs);
    this.policy = new OutagePolicy(this.#cache, this.lease, process, DATABASE_TIMEOUT_MS);
    this.hub = new HolderHub({
      lease: parts.lentLease?.(this.lease, process) ?? this.lease,
      facts: this.policy,
      missed: async (after, upTo) => {
        const notices = await callPool<readonly Notice[] | 'pruned'>(place, (done) => {
          const { database } = place;
          done(database.head.epoch === after.epoch ? database.noticesAfter(after, upTo.revision) : 'pruned');
        });
        return notices === 'pruned' ? undefined : notices.map(({ eviction }) => eviction);
      },
      timers: process,
      metrics: { invalidated: () => undefined, strained: () => undefined, refused: () => undefined },
      maxEntries: MAX_ENTRIES,
      maxHolders: 100,
      maxHoldersOfUser: 100,
    });
    this.replica = new Replica({
      id,
      connector: parts.connector?.(this.connector, this.#cache, place) ?? this.connector,
      memory,
      lease: this.lease,
      acknowledgements,
      continuity,
      timers: process,
      logger: SILENT,
      holders: this.hub,
    });
    this.hub.onSettled = () => this.replica.settled();
    const registrations = registrationsAt(place);
    this.#wait = new PropagationWait({
      replica: id,
      registrations: parts.registrations?.(registrations, place) ?? registrations,
      acknowledgements,
      continuity,
      clients: parts.ownClients?.(this.hub) ?? this.hub,
      timers: process,
      maxStaleMs,
    });
    this.replica.start();
  }

  /** validate answers as the service does: from memory at once if it may, otherwise by the policy. */
  validate(token: number, answer: (record: TokenRecord | null, isStale: boolean) => void): void {
    const digest = digestOf(token);
    const remembered = this.policy.lookUp(digest, this.place.process.wallMs());
    if (remembered !== undefined) {
      answer(remembered, false);
      return;
    }
    this.policy.get(digest).then(
      ({ record, stale }) => answer(record, stale),
      () => undefined,
    );
  }

  /** change commits, forgets, waits, and tells what the call returns; nothing if the commit fails. */
  async change(change: Change, committed: () => void): Promise<Propagation | undefined> {
    const barrier = change.barrier?.id ?? '';
    const own = evictionOf({ ...change, tokens: [...change.tokens, ...change.unchanged], isUntold: false });
    try {
      await callPool(this.place, (done) => {
        this.place.database.commit(change, (revision) => {
          committed();
          done(revision);
        });
      });
    } catch {
      this.#cache.forget(own);
      return undefined;
    }
    this.#cache.forget(own);
    return this.#wait.after(barrier);
  }

  /** stop ends following cleanly, once no client has a lease any more. */
  async stop(): Promise<void> {
    if (this.parts.clients?.signsOffEarly !== true) await this.hub.leave();
    await this.replica.stop();
  }

  /** kill ends the process at once; the machine, if it lives on, closes its connections. */
  kill(doesMachineLive: boolean): void {
    this.place.process.kill();
    if (!doesMachineLive) return;
    this.connector.last?.hangUp();
    for (const tell of this.onEnd) tell();
  }

  get id(): string {
    return this.#id;
  }

  #read(digests: readonly string[]): Map<string, Facts> {
    const { tokens, owners } = this.place.database;
    const found = new Map<string, Facts>();
    for (const digest of digests) {
      const token = digest.charCodeAt(0) - 97;
      const row = tokens[token];
      if (row?.exists.at(-1) !== true) continue;
      const ownerPlace = token % owners.length;
      found.set(digest, {
        version: row.latest,
        owner: ownerFacts(ownerPlace, owners[ownerPlace]?.latest ?? 0),
      });
    }
    return found;
  }
}

function registrationsAt(place: Place): Registrations {
  const { database } = place;
  return {
    outcome: async (barrier) => {
      const { revision, ...registered } = await callPool<Registered & { revision: bigint | undefined }>(
        place,
        (done) => done({ revision: database.revisionOf(barrier), ...database.registered() }),
      );
      if (revision === undefined) throw new Error('there is no such barrier any more');
      return { revision, ...registered };
    },
    registered: () => callPool(place, (done) => done(database.registered())),
  };
}

function ownerFacts(place: number, version: number): OwnerFacts {
  const id = BigInt(place);
  return {
    profileId: id,
    userId: id,
    username: String(version),
    accountId: id,
    accountNumber: '',
    isStaff: true,
    isSuperuser: true,
    userIsActive: true,
    accountIsActive: true,
  };
}
