import { expect, test } from 'vitest';
import { MAX_CALLS, MAX_REQUEST_BYTES, LoadLimit } from '../../../src/rpc/front-door/load-limit.js';

test('as many calls as may be are worked on, and each that ends makes room once', () => {
  const work = new LoadLimit(MAX_CALLS);
  const ends = Array.from({ length: MAX_CALLS }, () => work.begin(100)?.hold());
  expect(ends.every((end) => end !== undefined)).toBe(true);
  expect(work.begin(1)).toBeUndefined();
  ends[0]?.();
  expect(work.begin(1)).toBeDefined();
  expect(work.begin(1)).toBeUndefined();
});

test('their requests are limited in bytes, but one alone always may', () => {
  const work = new LoadLimit(MAX_CALLS);
  const end = work.begin(MAX_REQUEST_BYTES + 1)?.hold();
  expect(end).toBeDefined();
  expect(work.begin(1)).toBeUndefined();
  end?.();
  expect(work.begin(MAX_REQUEST_BYTES)).toBeDefined();
  expect(work.calls).toBe(1);
});

test('a call counts until all who hold it are done, and not longer', () => {
  const work = new LoadLimit(1);
  const call = work.begin(1);
  const [stream, handler] = [call?.hold(), call?.hold()];
  stream?.();
  expect(work.calls).toBe(1);
  handler?.();
  expect(work.calls).toBe(0);
  // Who takes it up when its client has gone already.
  call?.hold()();
  expect(work.calls).toBe(0);
});

test('a request that turns out longer counts as that, if there is room beside the others', () => {
  const work = new LoadLimit(MAX_CALLS);
  const call = work.begin(10);
  const end = call?.hold();
  expect(call?.reach(2 * MAX_REQUEST_BYTES)).toBe(true);
  expect(work.begin(1)).toBeUndefined();
  end?.();
  const [first, second] = [work.begin(10), work.begin(10)];
  const ends = [first?.hold(), second?.hold()];
  expect(first?.reach(MAX_REQUEST_BYTES)).toBe(false);
  expect(first?.reach(MAX_REQUEST_BYTES - 10)).toBe(true);
  expect(first?.reach(5)).toBe(true);
  expect(work.begin(1)).toBeUndefined();
  for (const each of ends) each?.();
  expect(work.begin(MAX_REQUEST_BYTES)).toBeDefined();
});

test('what is worked on within a call counts with it while it lasts, if there is room', () => {
  const work = new LoadLimit(MAX_CALLS);
  const call = work.begin(10);
  const end = call?.hold();
  work.begin(10);
  const giveBack = call?.take(MAX_REQUEST_BYTES - 20);
  expect(call?.take(1)).toBeUndefined();
  giveBack?.();
  expect(call?.take(1)).toBeDefined();
  end?.();
  expect(work.bytes).toBe(11);
});
