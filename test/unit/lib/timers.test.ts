import { expect, test, vi } from 'vitest';
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
  const begun = systemTimers.monotonicMs();
  systemTimers.after(5, cancelled).cancel();
  await new Promise<void>((resolve) => {
    // What waits keeps no process alive; this test runs in one that lives anyway.
    systemTimers.after(20, resolve);
  });
  expect(systemTimers.monotonicMs() - begun).toBeGreaterThanOrEqual(19);
  expect(cancelled).not.toHaveBeenCalled();
  expect(Math.abs(systemTimers.wallMs() - Date.now())).toBeLessThan(1_000);
  expect(systemTimers.random()).toBeLessThan(1);
});
