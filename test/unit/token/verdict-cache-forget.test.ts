import { beforeEach, describe, expect, test } from 'vitest';
import type { Eviction } from '../../../src/coherence/ports.js';
import type { VerdictCache } from '../../../src/token/verdict-cache.js';
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
import type { ControlledFetch } from './controlled-fetch.js';

let fixture: CacheFixture;
let database: ControlledFetch<Facts>;
let cache: VerdictCache<Facts, Record>;

beforeEach(() => {
  fixture = new CacheFixture();
  ({ database, cache } = fixture);
});

describe('forgetting what a notice tells', () => {
  beforeEach(async () => {
    await fixture.load('a', '1', owner(1n, { userId: 11n, accountId: 7n }));
    await fixture.load('b', '1', owner(2n, { userId: 12n, accountId: 7n }));
    await fixture.load('c', '1', owner(3n, { userId: 12n, accountId: 8n }));
    const unknown = cache.get('d');
    database.take().resolve(new Map());
    await unknown;
  });

  const held = (): (string | null | undefined)[] =>
    ['a', 'b', 'c', 'd'].map((digest) => fixture.lookUp(digest));

  test.each<[string, Partial<Eviction['owners']>, (string | null | undefined)[]]>([
    ['users', { userIds: [12n] }, ['1', undefined, undefined, null]],
    ['accounts', { accountIds: [7n, 9n] }, [undefined, undefined, '1', null]],
    ['profiles', { profileIds: [3n] }, ['1', '1', undefined, null]],
    ['several', { userIds: [11n], profileIds: [3n] }, [undefined, '1', undefined, null]],
    ['strangers', { userIds: [7n], accountIds: [1n], profileIds: [12n] }, ['1', '1', '1', null]],
  ])('by owners: %s', (_, owners, expected) => {
    cache.forget(byOwners(owners));
    expect(held()).toEqual(expected);
  });

  test('by digests, known or unknown', () => {
    cache.forget({ ...NOTHING, digests: ['b', 'd', 'never-seen'] });
    expect(held()).toEqual(['1', undefined, '1', undefined]);
  });

  test('everything', () => {
    cache.forget(EVERYTHING);
    expect(held()).toEqual([undefined, undefined, undefined, undefined]);
    expect(cache.size).toBe(0);
  });

  test('nothing, so that loads under way are kept too', async () => {
    const answer = cache.get('e');
    cache.forget(NOTHING);
    database.take().resolve(found('e', '1', owner(4n)));
    await answer;
    expect(held()).toEqual(['1', '1', '1', null]);
    expect(fixture.lookUp('e')).toBe('1');
  });
});

describe('asking the database in any case', () => {
  test('joins no query that began before, and that is not kept', async () => {
    const before = cache.get('a');
    const asked = cache.ask('a');
    expect(database.asked).toBe(2);
    database.take(1).resolve(found('a', 'new'));
    expect((await asked)?.value).toBe('new');
    database.take(0).resolve(found('a', 'old'));
    expect((await before)?.value).toBe('old');
    expect(fixture.lookUp('a')).toBe('new');
  });

  test('asks also for what is remembered', async () => {
    await fixture.load('a', '1');
    const asked = cache.ask('a');
    database.take().resolve(found('a', '2'));
    expect((await asked)?.value).toBe('2');
    expect(fixture.lookUp('a')).toBe('2');
  });

  test('joins a query that has not begun, so that any number of callers make few queries', async () => {
    const busy = ['a', 'b', 'c', 'd'].map((digest) => cache.ask(digest));
    const asked = Array.from({ length: 100 }, () => cache.ask('a'));
    expect(database.asked).toBe(4);
    for (const digest of ['a', 'b', 'c', 'd']) database.take().resolve(found(digest, 'old'));
    await Promise.all(busy);
    expect(database.open.map(({ digests }) => digests)).toEqual([['a']]);
    database.take().resolve(found('a', 'new'));
    const records = new Set(await Promise.all(asked));
    expect([...records].map((record) => record?.value)).toEqual(['new']);
  });
});

describe('recalling', () => {
  test('gives what was known, however old, without asking', async () => {
    await fixture.load('a', '1');
    fixture.clock.advance(TTL_MS * 100);
    expect(fixture.lookUp('a')).toBeUndefined();
    expect(cache.recall('a')?.value).toBe('1');
    expect(database.asked).toBe(1);
  });

  test('gives nothing for what was unknown or never seen', async () => {
    const unknown = cache.get('a');
    database.take().resolve(new Map());
    await unknown;
    expect([cache.recall('a'), cache.recall('b')]).toEqual([undefined, undefined]);
  });

  test.each<[string, () => void]>([
    ['its digest', () => cache.forget({ ...NOTHING, digests: ['a'] })],
    ['its owner', () => cache.forget(byOwners({ accountIds: [7n] }))],
    ['everything', () => cache.clear()],
  ])('gives nothing once %s was forgotten', async (_, forget) => {
    await fixture.load('a', '1');
    forget();
    expect(cache.recall('a')).toBeUndefined();
  });
});
