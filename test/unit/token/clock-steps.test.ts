import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { deadlineIn } from '../../../clients/node/src/transport/clock.js';
import { VerdictCache, type CachedOwner } from '../../../src/token/verdict-cache.js';
import { instantFromMillis } from '../../../src/lib/instant.js';
import { PeriodicTask } from '../../../src/lib/periodic-task.js';
import { systemTimers } from '../../../src/lib/timers.js';
import { CertificateUsers } from '../../../src/authn/certificate-callers.js';
import { digestOf } from '../../../src/crypto/digest.js';
import { judge, VerdictRecord, type VerdictFacts } from '../../../src/token/verdict.js';
import { ManualClock } from '../../support/manual-clock.js';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const TTL_MS = 60 * SECOND;
const START = Date.UTC(2026, 5, 1);
/** Steps of the wall clock: somebody sets it, or the machine learns that it was wrong. */
const STEPS = [
  ['a second on', SECOND],
  ['an hour on', HOUR],
  ['a month on', 720 * HOUR],
  ['a second back', -SECOND],
  ['an hour back', -HOUR],
  ['a month back', -720 * HOUR],
] as const;

const owner: CachedOwner = {
  profileId: 1n,
  userId: 1n,
  username: 'owner',
  accountId: 1n,
  accountNumber: '1111-1111-1111',
  isStaff: true,
  isSuperuser: false,
  userIsActive: true,
  accountIsActive: true,
  current: true,
};
const KNOWN = digestOf('known');
const UNKNOWN = digestOf('unknown');

/** factsUntil are those of a plaintext that is refused from then on: by its expiry, or the end of its grace. */
function factsUntil(expiresAt: number): VerdictFacts {
  return {
    digest: KNOWN,
    tokenId: 1n,
    keyId: '',
    name: 'a token',
    isActive: true,
    expiresAt: instantFromMillis(expiresAt),
    createdAt: 0n,
    scopes: ['*'],
    owner,
  };
}

describe.each(STEPS)('when the wall clock is set %s', (_name, step) => {
  test('what is remembered is asked for anew after twice its time at the latest', async () => {
    const clock = new ManualClock(START);
    const fetch = vi.fn(() => Promise.resolve(new Map([[KNOWN, factsUntil(START + 9_000 * HOUR)]])));
    const cache = new VerdictCache({
      fetch,
      ownerOf: () => owner,
      toRecord: (facts, shared, staleAt) => new VerdictRecord(facts, shared, staleAt, ''),
      clock,
      maxEntries: 10,
      ttlMs: TTL_MS,
    });
    const users = new CertificateUsers({ findUsers: () => Promise.resolve(new Map()), ttlMs: TTL_MS, clock });
    await Promise.all([cache.get(KNOWN), cache.get(UNKNOWN), users.load('nobody')]);
    clock.advance(step);
    // A clock that was put back by less than the time to live says nothing of how old something is.
    clock.advance(Math.abs(step) <= TTL_MS ? 2 * TTL_MS : 0);
    expect(cache.lookUp(KNOWN, clock.now())).toBeUndefined();
    expect(cache.lookUp(UNKNOWN, clock.now())).toBeUndefined();
    expect(users.lookUp('nobody', clock.now())).toBeUndefined();
    // And from then on it is remembered by the clock as it is.
    await Promise.all([cache.get(KNOWN), cache.get(UNKNOWN), users.load('nobody')]);
    clock.advance(SECOND);
    expect(cache.lookUp(KNOWN, clock.now())).toMatchObject({ tokenId: 1n });
    expect(cache.lookUp(UNKNOWN, clock.now())).toBeNull();
    expect(users.lookUp('nobody', clock.now())).toBeNull();
  });

  test('expiry and grace follow it, in both directions', () => {
    const record = new VerdictRecord(factsUntil(START + 10 * SECOND), owner, Infinity, '');
    expect(judge(record, [], START)).toBe('OK');
    expect(judge(record, [], START + step)).toBe(step > 10 * SECOND ? 'EXPIRED' : 'OK');
    expect(judge(record, [], START)).toBe('OK');
    expect(judge(record, [], START + 11 * SECOND)).toBe('EXPIRED');
  });

  describe('timers', () => {
    beforeEach(() => {
      vi.useFakeTimers({
        now: START,
        toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
      });
    });

    afterEach(() => {
      vi.useRealTimers();
    });

    test('of batches and of idle connections run as if nothing had happened', async () => {
      const work = vi.fn(() => Promise.resolve());
      const task = new PeriodicTask(work);
      const once = vi.fn();
      task.start(5 * SECOND);
      systemTimers.after(20 * SECOND, once);
      await vi.advanceTimersByTimeAsync(7 * SECOND);
      vi.setSystemTime(Date.now() + step);
      await vi.advanceTimersByTimeAsync(12 * SECOND);
      expect(work).toHaveBeenCalledTimes(3);
      expect(once).not.toHaveBeenCalled();
      await vi.advanceTimersByTimeAsync(SECOND);
      expect(once).toHaveBeenCalledTimes(1);
      await task.stop();
    });

    test('of a client leave a call its whole time', () => {
      vi.setSystemTime(START + step);
      // The library takes the time that is left from this and the wall clock.
      expect(deadlineIn(10 * SECOND) - Date.now()).toBe(10 * SECOND);
    });
  });
});
