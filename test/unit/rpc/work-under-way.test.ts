import { expect, test } from 'vitest';
import { MAX_CALLS, MAX_REQUEST_BYTES, WorkUnderWay } from '../../../src/rpc/front-door/work-under-way.js';

test('as many calls as may be are worked on, and each that ends makes room once', () => {
  const work = new WorkUnderWay();
  const ends = Array.from({ length: MAX_CALLS }, () => work.begin(100));
  expect(ends.every((end) => end !== undefined)).toBe(true);
  expect(work.begin(1)).toBeUndefined();
  ends[0]?.();
  expect(work.begin(1)).toBeDefined();
  expect(work.begin(1)).toBeUndefined();
});

test('their requests are limited in bytes, but one alone always may', () => {
  const work = new WorkUnderWay();
  const end = work.begin(MAX_REQUEST_BYTES + 1);
  expect(end).toBeDefined();
  expect(work.begin(1)).toBeUndefined();
  end?.();
  expect(work.begin(MAX_REQUEST_BYTES)).toBeDefined();
  expect(work.calls).toBe(1);
});
