import type { Eviction } from '../../../src/coherence/ports.js';
import { VerdictCache, type CachedOwner, type OwnerFacts } from '../../../src/token/verdict-cache.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ControlledFetch } from './controlled-fetch.js';

export interface Facts {
  readonly value: string;
  readonly owner: OwnerFacts;
}

export interface Record {
  readonly value: string;
  readonly owner: CachedOwner;
  readonly staleAt: number;
}

export const TTL_MS = 60_000;

export const NOTHING: Eviction = {
  everything: false,
  digests: [],
  owners: { userIds: [], accountIds: [], profileIds: [] },
  secretIds: [],
};
export const EVERYTHING: Eviction = { ...NOTHING, everything: true };

/** byOwners is an eviction of records by their owners alone. */
export function byOwners(owners: Partial<Eviction['owners']>): Eviction {
  return { ...NOTHING, owners: { ...NOTHING.owners, ...owners } };
}

/** CacheFixture is a cache over a database that a test answers for. */
export class CacheFixture {
  readonly clock = new ManualClock();
  readonly database = new ControlledFetch<Facts>();
  readonly cache: VerdictCache<Facts, Record>;

  constructor(options: { maxEntries?: number; ttlMs?: number } = {}) {
    this.cache = new VerdictCache<Facts, Record>({
      fetch: this.database.fetch,
      ownerOf: (facts) => facts.owner,
      toRecord: ({ value }, shared, staleAt) => ({ value, owner: shared, staleAt }),
      clock: this.clock,
      maxEntries: 100,
      ttlMs: TTL_MS,
      ...options,
    });
  }

  /** load asks for a digest and answers the query that follows. */
  async load(digest: string, value: string, ownerFacts = owner(1n)): Promise<Record | null> {
    const answer = this.cache.get(digest);
    this.database.take().resolve(found(digest, value, ownerFacts));
    return answer;
  }

  /** lookUp is the value that memory answers with. */
  lookUp(digest: string): string | null | undefined {
    const record = this.cache.lookUp(digest, this.clock.now());
    return record === null || record === undefined ? record : record.value;
  }
}

export function owner(profileId: bigint, changes: Partial<OwnerFacts> = {}): OwnerFacts {
  return {
    profileId,
    userId: profileId,
    username: `user-${String(profileId)}`,
    accountId: 7n,
    accountNumber: '0000-0000-0007',
    isStaff: true,
    isSuperuser: false,
    userIsActive: true,
    accountIsActive: true,
    ...changes,
  };
}

export function found(digest: string, value: string, ownerFacts = owner(1n)): Map<string, Facts> {
  return new Map([[digest, { value, owner: ownerFacts }]]);
}
