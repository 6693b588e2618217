import { beforeEach, describe, expect, test } from 'vitest';
import { VerdictCache, type OwnerFacts } from '../../../src/token/verdict-cache.js';
import type { ManualClock } from '../../support/manual-clock.js';
import {
  byOwners,
  CacheFixture,
  EVERYTHING,
  found,
  NOTHING,
  owner,
  TTL_MS,
  type Facts,
  type Record,
} from './cache-fixture.js';
import { settled, type ControlledFetch } from './controlled-fetch.js';

let clock: ManualClock;
let database: ControlledFetch<Facts>;
let cache: VerdictCache<Facts, Record>;
let load: CacheFixture['load'];
let lookUp: CacheFixture['lookUp'];

beforeEach(() => setUp());

function setUp(options: { maxEntries?: number; ttlMs?: number } = {}): void {
  const fixture = new CacheFixture(options);
  ({ clock, database, cache } = fixture);
  load = (...of) => fixture.load(...of);
  lookUp = (digest) => fixture.lookUp(digest);
}

describe('how long', () => {
  test('a record is answered from memory until its time to live, counted from when it was asked for, is over', async () => {
    const answer = cache.get('a');
    clock.advance(TTL_MS - 1);
    database.take().resolve(found('a', '1'));
    await answer;
    expect(lookUp('a')).toBe('1');
    clock.advance(1);
    expect(lookUp('a')).toBeUndefined();
    await load('a', '2');
    expect(lookUp('a')).toBe('2');
  });

  test('an unknown digest is remembered for five seconds', async () => {
    const answer = cache.get('a');
    database.take().resolve(new Map());
    expect(await answer).toBeNull();
    clock.advance(4_999);
    expect(lookUp('a')).toBeNull();
    clock.advance(1);
    expect(lookUp('a')).toBeUndefined();
  });

  test('an unknown digest is never remembered for longer than a known one', async () => {
    setUp({ ttlMs: 1_000 });
    const answer = cache.get('a');
    database.take().resolve(new Map());
    await answer;
    clock.advance(1_000);
    expect(lookUp('a')).toBeUndefined();
  });

  test('a digest that is found to be unknown is no longer known, and the other way round', async () => {
    await load('a', '1');
    clock.advance(TTL_MS);
    const answer = cache.get('a');
    database.take().resolve(new Map());
    await answer;
    expect(lookUp('a')).toBeNull();
    expect(cache.size).toBe(0);
    clock.advance(5_000);
    await load('a', '2');
    expect(lookUp('a')).toBe('2');
  });
});

describe('how much', () => {
  test('a flood of unknown digests pushes out nothing that is known, and is bounded', async () => {
    await load('a', '1');
    for (let batch = 0; batch < 24; batch += 1) {
      const answers = Array.from({ length: 500 }, (_, index) => cache.get(`guess-${batch}-${index}`));
      while (database.open.length > 0) {
        database.take().resolve(new Map());
        await settled();
      }
      await Promise.all(answers);
    }
    expect(lookUp('a')).toBe('1');
    expect(lookUp('guess-0-0')).toBeUndefined();
    expect(lookUp('guess-23-499')).toBeNull();
  });

  test('no more than the most entries are held; those used last stay', async () => {
    setUp({ maxEntries: 2 });
    await load('a', '1');
    await load('b', '1');
    lookUp('a');
    await load('c', '1');
    expect(cache.size).toBe(2);
    expect([lookUp('a'), lookUp('b'), lookUp('c')]).toEqual(['1', undefined, '1']);
  });

  test('an owner that is pushed out takes its records along, so that evicting by owner reaches all others', async () => {
    setUp({ maxEntries: 2 });
    await load('a', '1', owner(1n));
    await load('b', '1', owner(2n));
    lookUp('a');
    await load('c', '1', owner(3n));
    expect([lookUp('a'), lookUp('b'), lookUp('c')]).toEqual([undefined, undefined, '1']);
    cache.evictOwners(() => true);
    expect(lookUp('c')).toBeUndefined();
  });
});

describe('misses', () => {
  test('any number of callers for one digest ask once', async () => {
    const answers = Array.from({ length: 1000 }, () => cache.get('a'));
    expect(database.asked).toBe(1);
    database.take().resolve(found('a', '1'));
    const records = await Promise.all(answers);
    expect(new Set(records).size).toBe(1);
    expect(database.asked).toBe(1);
  });

  test('a miss is asked for at once, alone; beyond four queries misses wait and are then asked for together', async () => {
    const answers = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((digest) => cache.get(digest));
    expect(database.open.map(({ digests }) => digests)).toEqual([['a'], ['b'], ['c'], ['d']]);
    database.take(2).resolve(found('c', '1'));
    await settled();
    expect(database.open.map(({ digests }) => digests)).toEqual([['a'], ['b'], ['d'], ['e', 'f', 'g']]);
    for (const digest of ['a', 'b', 'd']) database.take().resolve(found(digest, '1'));
    database.take().resolve(new Map([...found('e', '1'), ...found('g', '2')]));
    const values = (await Promise.all(answers)).map((record) => record?.value);
    expect(values).toEqual(['1', '1', '1', '1', '1', undefined, '2']);
  });

  test('whoever waits for the database is counted as a miss, and whom memory answers as a hit', async () => {
    await load('a', '1');
    const asked = cache.ask('a');
    database.take().resolve(found('a', '1'));
    await asked;
    lookUp('a');
    expect([cache.misses, cache.hits]).toEqual([2, 1]);
  });

  test('a query asks for at most 500 digests', async () => {
    const answers = Array.from({ length: 604 }, (_, index) => cache.get(`d${index}`));
    database.take().resolve(new Map());
    await settled();
    expect(database.open.at(-1)?.digests).toHaveLength(500);
    while (database.open.length > 0) {
      database.take().resolve(new Map());
      await settled();
    }
    expect(await Promise.all(answers)).toEqual(Array(604).fill(null));
  });

  test('a digest that was evicted while it waited in the queue is asked for once, and answered to all', async () => {
    const busy = ['a', 'b', 'c', 'd'].map((digest) => cache.get(digest));
    const before = cache.get('e');
    cache.evict(['e']);
    const after = cache.get('e');
    for (const digest of ['a', 'b', 'c', 'd']) database.take().resolve(found(digest, '1'));
    await Promise.all(busy);
    expect(database.open.map(({ digests }) => digests)).toEqual([['e']]);
    database.take().resolve(found('e', '1'));
    expect((await before)?.value).toBe('1');
    expect((await after)?.value).toBe('1');
    expect(lookUp('e')).toBe('1');
  });

  test('a failed query fails all who wait for it, is not remembered, and makes way for the next', async () => {
    const failure = new Error('the database is gone');
    const answers = [
      cache.get('a'),
      cache.get('a'),
      ...['b', 'c', 'd', 'e', 'f'].map((digest) => cache.get(digest)),
    ];
    const results = Promise.allSettled(answers);
    while (database.open.length > 0) {
      database.take().reject(failure);
      await settled();
    }
    expect(await results).toEqual(Array(7).fill({ status: 'rejected', reason: failure }));
    expect(lookUp('a')).toBeUndefined();
    await load('a', '1');
    expect(lookUp('a')).toBe('1');
  });

  test('a query that throws at once fails those who wait', async () => {
    const failure = new Error('no connection');
    const broken = new VerdictCache<Facts, Record>({
      fetch: () => {
        throw failure;
      },
      ownerOf: (facts) => facts.owner,
      toRecord: ({ value }, shared, staleAt) => ({ value, owner: shared, staleAt }),
      clock,
      maxEntries: 1,
      ttlMs: TTL_MS,
    });
    await expect(broken.get('a')).rejects.toBe(failure);
    await expect(broken.get('a')).rejects.toBe(failure);
  });
});

describe('eviction is final', () => {
  test('a digest that is evicted is asked for anew', async () => {
    await load('a', '1');
    await load('b', '1');
    cache.evict(['a']);
    expect([lookUp('a'), lookUp('b')]).toEqual([undefined, '1']);
    const answer = cache.get('c');
    database.take().resolve(new Map());
    await answer;
    cache.evict(['c']);
    expect(lookUp('c')).toBeUndefined();
  });

  const evictions: [string, () => void][] = [
    ['evict', () => cache.evict(['a'])],
    ['evictOwners', () => cache.evictOwners(({ profileId }) => profileId === 1n)],
    ['forget of the digest', () => cache.forget({ ...NOTHING, digests: ['a'] })],
    ['forget of its owner', () => cache.forget(byOwners({ profileIds: [1n] }))],
    ['forget of everything', () => cache.forget(EVERYTHING)],
    ['clear', () => cache.clear()],
  ];

  test.each(evictions)('a load that began before %s never puts the old record back', async (_, evict) => {
    const before = cache.get('a');
    evict();
    const after = cache.get('a');
    expect(database.asked).toBe(2);
    database.take(1).resolve(found('a', 'new'));
    expect((await after)?.value).toBe('new');
    database.take(0).resolve(found('a', 'old'));
    expect((await before)?.value).toBe('old');
    expect(lookUp('a')).toBe('new');
    expect((await cache.get('a'))?.value).toBe('new');
  });

  test.each(evictions)(
    'nor does it if %s comes between the answer of the database and its delivery',
    async (_, evict) => {
      for (let microtasks = 0; microtasks < 10; microtasks += 1) {
        const before = cache.get('a');
        database.take().resolve(found('a', 'old'));
        for (let turn = 0; turn < microtasks; turn += 1) await Promise.resolve();
        evict();
        expect(lookUp('a')).toBeUndefined();
        await before;
        await settled();
        expect(lookUp('a')).toBeUndefined();
      }
    },
  );

  test.each(evictions)(
    'an unknown digest that was loaded before %s is not remembered either',
    async (_, evict) => {
      const before = cache.get('a');
      evict();
      database.take().resolve(new Map());
      expect(await before).toBeNull();
      expect(lookUp('a')).toBeUndefined();
    },
  );
});

describe('owners', () => {
  test('records of one user profile share its facts', async () => {
    const first = await load('a', '1');
    const second = await load('b', '1');
    expect(second?.owner).toBe(first?.owner);
  });

  test('evicting owners takes the records of those that match, and of no others', async () => {
    await load('a', '1', owner(1n, { accountId: 7n }));
    await load('b', '1', owner(2n, { accountId: 7n }));
    await load('c', '1', owner(3n, { accountId: 8n }));
    cache.evictOwners(({ accountId }) => accountId === 7n);
    expect([lookUp('a'), lookUp('b'), lookUp('c')]).toEqual([undefined, undefined, '1']);
  });

  test.each<[string, Partial<OwnerFacts>]>([
    ['userId', { userId: 99n }],
    ['username', { username: 'other' }],
    ['accountId', { accountId: 99n }],
    ['accountNumber', { accountNumber: '9999-9999-9999' }],
    ['isStaff', { isStaff: false }],
    ['isSuperuser', { isSuperuser: true }],
    ['userIsActive', { userIsActive: false }],
    ['accountIsActive', { accountIsActive: false }],
  ])('a load that shows another %s outdates the other records of the profile', async (_, changes) => {
    await load('a', '1');
    const newer = await load('b', '1', owner(1n, changes));
    expect(newer?.owner).toMatchObject(changes);
    expect(lookUp('a')).toBeUndefined();
    expect(lookUp('b')).toBe('1');
  });
});
