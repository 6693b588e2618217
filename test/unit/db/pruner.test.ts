import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Pruner } from '../../../src/db/pruner.js';

const INTERVAL_MS = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test('what is old is deleted at every interval, also after that has failed, until stopped', async () => {
  const prune = vi.fn(() => Promise.resolve());
  const warn = vi.fn();
  const pruner = new Pruner({ prune }, 'things', { warn });
  pruner.start(INTERVAL_MS);
  expect(prune).not.toHaveBeenCalled();
  prune.mockRejectedValueOnce(new Error('gone'));
  await vi.advanceTimersByTimeAsync(2 * INTERVAL_MS);
  expect(prune).toHaveBeenCalledTimes(2);
  expect(warn).toHaveBeenCalledTimes(1);
  await pruner.stop();
  await vi.advanceTimersByTimeAsync(2 * INTERVAL_MS);
  expect(prune).toHaveBeenCalledTimes(2);
});

test('stopping waits for the deletion that is under way', async () => {
  let end: () => void = () => undefined;
  const pruner = new Pruner({ prune: () => new Promise((resolve) => (end = resolve)) }, 'things', {
    warn: () => undefined,
  });
  pruner.start(INTERVAL_MS);
  await vi.advanceTimersByTimeAsync(INTERVAL_MS);
  const stopped = vi.fn();
  const stopping = pruner.stop().then(stopped);
  await vi.advanceTimersByTimeAsync(0);
  expect(stopped).not.toHaveBeenCalled();
  end();
  await stopping;
});
