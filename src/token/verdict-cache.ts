import { LRUCache } from 'lru-cache';
import { isFresh, type Clock } from '../lib/clock.js';
import { MissLoader, type Fetch } from './miss-loader.js';
import type { Eviction, Memory } from '../coherence/ports.js';

/** OwnerFacts are the facts that all tokens of one user profile share. */
export interface OwnerFacts {
  readonly profileId: bigint;
  readonly userId: bigint;
  readonly username: string;
  readonly accountId: bigint;
  readonly accountNumber: string;
  readonly isStaff: boolean;
  readonly isSuperuser: boolean;
  readonly userIsActive: boolean;
  readonly accountIsActive: boolean;
}

/** CachedOwner is OwnerFacts as the cache holds them, once for all records of the profile. */
export interface CachedOwner extends OwnerFacts {
  /** False once these facts may be wrong: records that refer to them are not used any more. */
  current: boolean;
}

/** What the cache has to know of a record. */
export interface CacheableRecord {
  readonly owner: CachedOwner;
  /** Milliseconds since 1970 from which on the record is asked for anew. */
  readonly staleAt: number;
}

export interface VerdictCacheOptions<Facts, Record extends CacheableRecord> {
  /** Asks the database for several digests at once; unknown ones are absent from the result. */
  readonly fetch: Fetch<Facts>;
  readonly ownerOf: (facts: Facts) => OwnerFacts;
  readonly toRecord: (facts: Facts, owner: CachedOwner, staleAt: number) => Record;
  readonly clock: Clock;
  readonly maxEntries: number;
  readonly ttlMs: number;
}

/** Unknown digests are kept apart and briefly, so that a flood of guesses cannot push out what is known. */
const MAX_UNKNOWN = 10_000;
const UNKNOWN_TTL_MS = 5_000;

/**
 * VerdictCache answers for digests from memory, and from the database for those it does not hold.
 *
 * Evicting is final: a load that began before an eviction never puts the old record back. Those who asked
 * before the eviction may still get it; those who ask afterwards never do.
 */
export class VerdictCache<Facts, Record extends CacheableRecord> implements Memory {
  readonly #options: VerdictCacheOptions<Facts, Record>;
  readonly #known: LRUCache<string, Record>;
  readonly #unknown: LRUCache<string, number>;
  /** By profile id. An owner that is pushed out or replaced takes its records along. */
  readonly #owners: LRUCache<bigint, CachedOwner>;
  readonly #loader: MissLoader<Facts, Record | null>;
  #hits = 0;
  #misses = 0;

  constructor(options: VerdictCacheOptions<Facts, Record>) {
    this.#options = options;
    this.#known = new LRUCache({ max: options.maxEntries });
    this.#unknown = new LRUCache({ max: Math.min(MAX_UNKNOWN, options.maxEntries) });
    this.#owners = new LRUCache({
      max: options.maxEntries,
      dispose: (owner) => {
        owner.current = false;
      },
    });
    this.#loader = new MissLoader(options.fetch, ({ digest, facts, current, startedAt }) =>
      facts === undefined
        ? this.#rememberUnknown(digest, current, startedAt)
        : this.#remember(digest, facts, current, startedAt),
    );
  }

  /** lookUp answers from memory: the record, null for a digest known to be unknown, undefined if it must be asked. */
  lookUp(digest: string, now: number): Record | null | undefined {
    const found = this.#find(digest, now);
    if (found !== undefined) this.#hits += 1;
    return found;
  }

  /** get answers from memory or from the database; null for an unknown digest. */
  async get(digest: string): Promise<Record | null> {
    const cached = this.lookUp(digest, this.#options.clock.now());
    return cached === undefined ? this.load(digest) : cached;
  }

  /** load answers from the database, by a query that may be under way already; null for an unknown digest. */
  load(digest: string): Promise<Record | null> {
    this.#misses += 1;
    return this.#loader.load(digest, this.#options.clock.now());
  }

  /** ask answers from the database, by what it holds after the call; null for an unknown digest. */
  ask(digest: string): Promise<Record | null> {
    this.#misses += 1;
    return this.#loader.loadAnew(digest, this.#options.clock.now());
  }

  /** recall is the record as it was last known, however long ago; undefined if it was not or has been evicted. */
  recall(digest: string): Record | undefined {
    const record = this.#known.peek(digest);
    return record?.owner.current === true ? record : undefined;
  }

  /** evict forgets digests whose tokens changed. */
  evict(digests: Iterable<string>): void {
    for (const digest of digests) {
      this.#known.delete(digest);
      this.#unknown.delete(digest);
      this.#loader.outdate(digest);
    }
  }

  /** evictOwners forgets every record of the user profiles whose facts match. */
  evictOwners(matches: (owner: OwnerFacts) => boolean): void {
    for (const [profileId, owner] of [...this.#owners.entries()]) {
      if (matches(owner)) this.#owners.delete(profileId);
    }
    this.#loader.outdateAll();
  }

  /** evictProfiles forgets every record of those user profiles. */
  evictProfiles(profileIds: Iterable<bigint>): void {
    for (const profileId of profileIds) this.#owners.delete(profileId);
    this.#loader.outdateAll();
  }

  /** forget does for what a notice tells what the others do. */
  forget({ everything, digests, owners }: Eviction): void {
    if (everything) {
      this.clear();
      return;
    }
    this.evict(digests);
    if (owners.profileIds.length > 0) this.evictProfiles(owners.profileIds);
    const users = new Set(owners.userIds);
    const accounts = new Set(owners.accountIds);
    if (users.size + accounts.size === 0) return;
    this.evictOwners(({ userId, accountId }) => users.has(userId) || accounts.has(accountId));
  }

  /** clear forgets everything. */
  clear(): void {
    this.#known.clear();
    this.#unknown.clear();
    this.#owners.clear();
    this.#loader.outdateAll();
  }

  /** size is the number of known digests held. */
  get size(): number {
    return this.#known.size;
  }

  /** hits is how many lookups were answered from memory. */
  get hits(): number {
    return this.#hits;
  }

  /** misses is how many lookups waited for the database. */
  get misses(): number {
    return this.#misses;
  }

  #find(digest: string, now: number): Record | null | undefined {
    const record = this.#known.get(digest);
    const { ttlMs } = this.#options;
    if (record !== undefined)
      return isFresh(record.staleAt, ttlMs, now) && record.owner.current ? record : undefined;
    const unknownUntil = this.#unknown.get(digest);
    return unknownUntil !== undefined && isFresh(unknownUntil, UNKNOWN_TTL_MS, now) ? null : undefined;
  }

  #rememberUnknown(digest: string, current: boolean, startedAt: number): null {
    if (current) {
      this.#known.delete(digest);
      this.#unknown.set(digest, startedAt + Math.min(UNKNOWN_TTL_MS, this.#options.ttlMs));
    }
    return null;
  }

  #remember(digest: string, facts: Facts, current: boolean, startedAt: number): Record {
    const { ownerOf, toRecord, ttlMs } = this.#options;
    const staleAt = startedAt + ttlMs;
    if (!current) return toRecord(facts, { ...ownerOf(facts), current: false }, staleAt);
    const record = toRecord(facts, this.#shareOwner(ownerOf(facts)), staleAt);
    this.#unknown.delete(digest);
    this.#known.set(digest, record);
    return record;
  }

  #shareOwner(facts: OwnerFacts): CachedOwner {
    const held = this.#owners.get(facts.profileId);
    if (held !== undefined && sameFacts(held, facts)) return held;
    const owner = { ...facts, current: true };
    this.#owners.set(facts.profileId, owner);
    return owner;
  }
}

function sameFacts(a: OwnerFacts, b: OwnerFacts): boolean {
  return (
    a.userId === b.userId &&
    a.username === b.username &&
    a.accountId === b.accountId &&
    a.accountNumber === b.accountNumber &&
    a.isStaff === b.isStaff &&
    a.isSuperuser === b.isSuperuser &&
    a.userIsActive === b.userIsActive &&
    a.accountIsActive === b.accountIsActive
  );
}
