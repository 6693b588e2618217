import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FeedPruner } from '../../../src/coherence/feed-pruner.js';

const INTERVAL_MS = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test('old changes are deleted at every interval, also after that has failed, until stopped', async () => {
  const prune = vi.fn(() => Promise.resolve());
  const warn = vi.fn();
  const pruner = new FeedPruner({ prune }, { warn });
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
  const pruner = new FeedPruner(
    { prune: () => new Promise((resolve) => (end = resolve)) },
    { warn: () => undefined },
  );
  pruner.start(INTERVAL_MS);
  await vi.advanceTimersByTimeAsync(INTERVAL_MS);
  const stopped = vi.fn();
  const stopping = pruner.stop().then(stopped);
  await vi.advanceTimersByTimeAsync(0);
  expect(stopped).not.toHaveBeenCalled();
  end();
  await stopping;
});
