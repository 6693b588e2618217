import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { Reports } from '../../../src/holders/reports.js';

function use(id: string, count = 1): { id: string; count: number; agoMs: number } {
  return { id, count, agoMs: 0 };
}

test('uses count of keys alone that the client was told of', () => {
  const reports = new Reports(10, 0);
  const [told, other] = [randomUUID(), randomUUID()];
  reports.told(told);
  expect(reports.accept([use(told), use(other)], 0)).toEqual([use(told)]);
});

test('a client that comes from another stream reports of as many keys as it named, and of no more', () => {
  const reports = new Reports(10, 0);
  reports.named(2);
  const uses = Array.from({ length: 3 }, () => use(randomUUID()));
  expect(reports.accept(uses, 0)).toEqual(uses.slice(0, 2));
  expect(reports.accept(uses, 0)).toEqual(uses.slice(0, 2));
});

test('no more uses count than a process can judge in the time, of which a minute is gathered', () => {
  const reports = new Reports(10, 0);
  const key = randomUUID();
  reports.told(key);
  const countOf = (count: number, nowMs: number): number =>
    reports.accept([use(key, count)], nowMs).reduce((sum, each) => sum + each.count, 0);
  expect(countOf(4_000_000_000, 0)).toBe(60_000_000);
  expect(countOf(1, 0)).toBe(0);
  expect(countOf(5_000_000, 1_000)).toBe(1_000_000);
  expect(countOf(500, 1_001)).toBe(500);
  expect(countOf(4_000_000_000, 1_000_000)).toBe(60_000_000);
});

test('what is remembered of keys is bounded', () => {
  const reports = new Reports(1, 0);
  const keys = Array.from({ length: 3 }, () => randomUUID());
  for (const key of keys) reports.told(key);
  expect(
    reports
      .accept(
        keys.map((key) => use(key)),
        0,
      )
      .map(({ id }) => id),
  ).toEqual(keys.slice(1));
});
