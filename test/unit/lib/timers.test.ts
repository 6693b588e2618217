import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemTimers, TimedOut, within } from '../../../src/lib/timers.js';
import { ManualTimers } from '../../support/manual-timers.js';

test('what comes in time is the result, and leaves no timer behind', async () => {
  const timers = new ManualTimers();
  const cancel = vi.fn();
  const counting = Object.assign(Object.create(timers) as ManualTimers, { after: () => ({ cancel }) });
  expect(await within(counting, 10, 'work', Promise.resolve('done'))).toBe('done');
  await expect(within(counting, 10, 'work', Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(cancel).toHaveBeenCalledTimes(2);
});

test('what does not come in time is TimedOut, and says what it was', async () => {
  const timers = new ManualTimers();
  const result = within(timers, 10, 'reading', new Promise(() => undefined));
  const refused = expect(result).rejects.toThrow(new TimedOut('reading took more than 10 ms'));
  await timers.advance(10);
  await refused;
});

test('the timers of the machine run what is due, not before, and not what was cancelled', async () => {
  const cancelled = vi.fn();
  systemTimers.after(5, cancelled).cancel();
  // Each begins at another part of a millisecond. What waits keeps no process alive; this test runs in one that lives anyway.
  for (let number = 0; number < 50; number += 1) {
    const dueMs = systemTimers.monotonicMs() + 2;
    await new Promise<void>((resolve) => {
      systemTimers.after(2, resolve);
    });
    expect(systemTimers.monotonicMs()).toBeGreaterThanOrEqual(dueMs - 1e-6);
  }
  expect(cancelled).not.toHaveBeenCalled();
  expect(Math.abs(systemTimers.wallMs() - Date.now())).toBeLessThan(1_000);
  expect(systemTimers.random()).toBeLessThan(1);
});

describe('spans that are longer than a timer holds', () => {
  const DAY_MS = 86_400_000;

  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test.each([24, 25, 40, 50, 100])('what is to run after %i days runs then, once', (days) => {
    const run = vi.fn();
    systemTimers.after(days * DAY_MS, run);
    vi.advanceTimersByTime(days * DAY_MS - 1);
    expect(run).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(run).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(200 * DAY_MS);
    expect(run).toHaveBeenCalledTimes(1);
  });

  test('what is cancelled after the first of several timers never runs', () => {
    const run = vi.fn();
    const timer = systemTimers.after(Infinity, run);
    vi.advanceTimersByTime(100 * DAY_MS);
    timer.cancel();
    expect(vi.getTimerCount()).toBe(0);
    expect(run).not.toHaveBeenCalled();
  });
});
