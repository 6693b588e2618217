import { Acknowledgements } from '../../../src/coherence/acknowledgements.js';
import { Continuity } from '../../../src/coherence/continuity.js';
import { Lease } from '../../../src/coherence/lease.js';
import { holdHandler } from '../../../src/holders/hold-handler.js';
import { HolderHub } from '../../../src/holders/holder-hub.js';
import type { OwnClients } from '../../../src/coherence/ports.js';
import { OutagePolicy } from '../../../src/coherence/outage-policy.js';
import type { Connector, Memory, Notice, Registered, Registrations } from '../../../src/coherence/ports.js';
import { PropagationWait, type Propagation } from '../../../src/coherence/propagation.js';
import { Replica } from '../../../src/coherence/replica.js';
import type { Caller } from '../../../src/authz/caller.js';
import type { Digest } from '../../../src/crypto/digest.js';
import type { HoldVerdictsRequest } from '../../../src/gen/keyward/token/v1/hold_verdicts.js';
import { credentialsRefused, databaseUnavailable, notFound } from '../../../src/lib/errors.js';
import { ALL_SCOPES } from '../../../src/lib/scopes.js';
import type { Timers } from '../../../src/lib/timers.js';
import type { AccessedSecret } from '../../../src/secret/access/access.js';
import type { AccessService } from '../../../src/secret/access/access-service.js';
import { encodeValid } from '../../../src/token/validate-codec.js';
import { VerdictRecord, type VerdictFacts } from '../../../src/token/verdict.js';
import { VerdictCache, type CachedOwner } from '../../../src/token/verdict-cache.js';
import type { HoldVerdictsResponse } from '../../../clients/node/src/gen/keyward/token/v1/hold_verdicts.js';
import type { Timers as ClientTimers } from '../../../clients/node/src/holding/timers.js';
import { callPool, SimulatedConnector, type Place } from './connection.js';
import type { Database } from './database.js';
import { digestOfRow, evictionOf, ownerOf, rowOfDigest, type Change, type Row } from './rows.js';

/** SimulatedRecord is a record of the real memory, which tells of which version of the token it was made. */
export class SimulatedRecord extends VerdictRecord {
  readonly version: number;

  constructor(facts: VerdictFacts, owner: CachedOwner, staleAt: number) {
    super(facts, owner, staleAt, encodeValid(facts));
    this.version = Number(facts.name);
  }

  get ownerVersion(): number {
    return Number(this.owner.username);
  }
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
  readonly timers?: (timers: ClientTimers) => ClientTimers;
  /** Is given what comes to a client, and what makes it come. */
  readonly receives?: (message: HoldVerdictsResponse, timers: Timers, deliver: () => void) => void;
  /** The same of what comes to a replica. */
  readonly arrives?: (request: HoldVerdictsRequest, replica: SimulatedReplica, deliver: () => void) => void;
  readonly keepsRights?: true;
  readonly signsOffEarly?: true;
}

const TTL_MS = 6_000;
/** Fewer than there are tokens, so that some have to go. */
const MAX_ENTRIES = 3;
const DATABASE_TIMEOUT_MS = 5_000;
/** The id of the user, profile and account that those belong to who hold verdicts. */
const HOLDERS_ID = 1_000n;
const SILENT = { info: () => undefined, warn: () => undefined };

/** SimulatedReplica is one process of the service: the real protocol on a simulated machine. */
export class SimulatedReplica {
  readonly place: Place;
  readonly connector: SimulatedConnector;
  readonly lease: Lease;
  readonly replica: Replica;
  readonly policy: OutagePolicy<SimulatedRecord>;
  readonly hub: HolderHub<VerdictRecord>;
  /** Serves clients that hold verdicts. */
  readonly holding: ReturnType<typeof holdHandler>;
  readonly parts: Parts;
  readonly #cache: VerdictCache<VerdictFacts, SimulatedRecord>;
  readonly #wait: PropagationWait;
  readonly #id: string;

  constructor(id: string, place: Place, maxStaleMs: number, parts: Parts) {
    const { process } = place;
    this.#id = id;
    this.place = place;
    this.parts = parts;
    const clock = { now: () => process.wallMs() };
    this.#cache = new VerdictCache<VerdictFacts, SimulatedRecord>({
      fetch: (digests) => callPool(place, (done) => done(this.#read(digests))),
      ownerOf: ({ owner }) => owner,
      toRecord: (facts, owner, staleAt) => new SimulatedRecord(facts, owner, staleAt),
      clock,
      maxEntries: 8,
      ttlMs: TTL_MS,
    });
    const acknowledgements = parts.acknowledgements?.() ?? new Acknowledgements();
    const continuity = parts.continuity?.(process) ?? new Continuity(process);
    const memory = parts.memory?.(this.#cache, process) ?? this.#cache;
    this.connector = new SimulatedConnector(place);
    this.lease = parts.lease?.(process, maxStaleMs) ?? new Lease(process, maxStaleMs);
    this.policy = new OutagePolicy(this.#cache, this.lease, process, DATABASE_TIMEOUT_MS);
    this.hub = new HolderHub<VerdictRecord>({
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
    this.holding = holdHandler({
      hub: this.hub,
      replicaId: id,
      maxEntries: MAX_ENTRIES,
      secrets: {
        access: (_caller, { ref }) => this.#access(ref),
        recordMissingScope: () => Promise.resolve(),
      },
      used: () => undefined,
      clock,
      timers: process,
    });
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
  validate(token: Row, answer: (record: SimulatedRecord | null, isStale: boolean) => void): void {
    const digest = digestOfRow(token);
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
    const own = evictionOf({ ...change, changed: [...change.changed, ...change.unchanged], isUntold: false });
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
    this.place.process.kill(doesMachineLive);
    if (doesMachineLive) this.connector.last?.hangUp();
  }

  get id(): string {
    return this.#id;
  }

  /** authenticate gives the caller whose token that is, as it is by now. */
  async authenticate(caller: Row): Promise<Caller> {
    const digest = digestOfRow(caller);
    const { record, stale } = await this.policy.get(digest);
    if (record === null) throw credentialsRefused();
    if (stale) throw databaseUnavailable();
    return { ...ANY_CALLER, credential: { digest, accountId: HOLDERS_ID } };
  }

  #read(digests: readonly Digest[]): Map<Digest, VerdictFacts> {
    const { database } = this.place;
    const found = new Map<Digest, VerdictFacts>();
    for (const digest of digests) {
      const row = rowOfDigest(digest);
      if (row >= 0 && database.row(row).isThere) found.set(digest, factsOf(database, row));
    }
    return found;
  }

  /** #access reads a secret, which has one version after the other, as long as it may be read. */
  async #access(ref: Parameters<AccessService['access']>[1]['ref']): Promise<AccessedSecret> {
    if (ref.by !== 'id') throw new Error('secrets are asked for by their ids');
    const { place } = this;
    const version = await callPool<number | undefined>(place, (done) => {
      const { latest, isThere } = place.database.row(Number(ref.id));
      done(isThere ? latest : undefined);
    });
    if (version === undefined) throw notFound('secret');
    return {
      secretId: ref.id,
      version,
      payload: { format: 'TEXT', bytes: Buffer.from(String(version)) },
      until: null,
    };
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

const ANY_CALLER: Caller = {
  userId: HOLDERS_ID,
  username: 'holder',
  profileId: HOLDERS_ID,
  accountNumber: '',
  keyId: undefined,
  scopes: ALL_SCOPES,
  origin: { peer: '', requestId: '', certificate: undefined },
  isGone: () => false,
};

function factsOf(database: Database, row: Row): VerdictFacts {
  const owner = ownerOf(row);
  const id = owner === undefined ? HOLDERS_ID : BigInt(owner);
  return {
    digest: digestOfRow(row),
    tokenId: BigInt(row),
    keyId: `00000000-0000-4000-8000-${String(row).padStart(12, '0')}`,
    name: String(database.row(row).latest),
    isActive: true,
    expiresAt: null,
    createdAt: 0n,
    scopes: ALL_SCOPES,
    owner: {
      profileId: id,
      userId: id,
      username: String(owner === undefined ? 0 : database.row(owner).latest),
      accountId: id,
      accountNumber: '',
      isStaff: true,
      isSuperuser: true,
      userIsActive: true,
      accountIsActive: true,
    },
  };
}
