import { expect, test } from 'vitest';
import { LatestTimes } from '../../../src/lib/latest-times.js';

test('the latest time of each id is kept, and given in the order of ids', () => {
  const times = new LatestTimes<number>(10);
  for (const [id, time] of [
    [2n, 5],
    [1n, 3],
    [2n, 4],
    [1n, 9],
  ] as const)
    times.note(id, time);
  expect(times.size).toBe(2);
  expect(times.take()).toEqual([
    [1n, 9],
    [2n, 5],
  ]);
  expect(times.size).toBe(0);
});

test('of more ids than it may keep, those noted longest ago are dropped, and counted', () => {
  const times = new LatestTimes<bigint>(10);
  for (let id = 1n; id <= 10n; id += 1n) times.note(id, id);
  times.note(1n, 0n);
  times.note(11n, 11n);
  expect([times.size, times.dropped]).toEqual([10, 1]);
  expect(times.take().map(([id]) => id)).toEqual([1n, 3n, 4n, 5n, 6n, 7n, 8n, 9n, 10n, 11n]);
});
