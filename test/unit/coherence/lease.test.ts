import { beforeEach, expect, test } from 'vitest';
import { Lease } from '../../../src/coherence/lease.js';
import { ManualTimers } from '../../support/manual-timers.js';

let timers: ManualTimers;

beforeEach(() => {
  timers = new ManualTimers();
});

test('a lease that was never renewed is not held, and allows no stale answers', () => {
  const lease = new Lease(timers, 60_000);
  expect(lease.holds()).toBe(false);
  expect(lease.allowsStale()).toBe(false);
});

test('a lease lasts 2.9 seconds from when its renewal was sent, not from the reply', () => {
  const lease = new Lease(timers, 0);
  const sent = lease.moment();
  timers.stall(1_000);
  lease.extend(sent);
  timers.stall(1_899);
  expect(lease.holds()).toBe(true);
  timers.stall(1);
  expect(lease.holds()).toBe(false);
});

test('a lease ends while the machine is suspended, although its monotonic clock stands still', () => {
  const lease = new Lease(timers, 60_000);
  lease.extend(lease.moment());
  timers.suspend(2_899);
  expect(lease.holds()).toBe(true);
  timers.suspend(1);
  expect(lease.holds()).toBe(false);
  expect(lease.allowsStale()).toBe(true);
  timers.suspend(60_000);
  expect(lease.allowsStale()).toBe(false);
});

test('stale answers are allowed for the configured time after the lease, and never in strict mode', () => {
  const lease = new Lease(timers, 60_000);
  const strict = new Lease(timers, 0);
  lease.extend(lease.moment());
  strict.extend(strict.moment());
  expect(strict.allowsStale()).toBe(false);
  timers.stall(2_900 + 59_999);
  expect(lease.allowsStale()).toBe(true);
  expect(strict.allowsStale()).toBe(false);
  timers.stall(1);
  expect(lease.allowsStale()).toBe(false);
});

test('what is registered exceeds what is used by more than clocks that are 1 % wrong make up', () => {
  const { ttlMs, maxStaleMs } = new Lease(timers, 60_000).terms({ epoch: 'e', revision: 7n });
  const longestUse = 2_900 / 0.99;
  expect(longestUse).toBeLessThan(ttlMs / 1.01);
  expect((2_900 + 60_000) / 0.99).toBeLessThan((ttlMs + maxStaleMs) / 1.01);
});

test('a lease that was given up is over for good', () => {
  const lease = new Lease(timers, 60_000);
  const sent = lease.moment();
  lease.extend(sent);
  lease.giveUp();
  expect([lease.holds(), lease.allowsStale()]).toEqual([false, false]);
  lease.extend(sent);
  expect([lease.holds(), lease.allowsStale()]).toEqual([false, false]);
});
