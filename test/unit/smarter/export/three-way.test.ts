import { expect, test } from 'vitest';
import type { Fields } from '../../../../src/smarter/source-rows.js';
import { agreed, changedHere, isUse, merge } from '../../../../src/smarter/export/three-way.js';

const BEFORE = { name: 'a', is_active: true, expires_at: null, tags: ['x', 'y'], last_used_at: null };
const T1 = '2026-01-01T00:00:00.000000Z';
const T2 = '2026-01-02T00:00:00.000000Z';

test('what only Keyward changed is written', () => {
  expect(merge(BEFORE, { ...BEFORE, name: 'b' }, BEFORE)).toEqual({
    changes: { name: 'b' },
    conflicts: [],
    unseen: [],
  });
});

test('what only the platform changed stays, and the next import sees it', () => {
  const there = { ...BEFORE, name: 'b' };
  const merged = merge(BEFORE, BEFORE, there);
  expect(merged).toEqual({ changes: {}, conflicts: [], unseen: ['name'] });
  expect(agreed(BEFORE, there, merged)).toEqual(BEFORE);
});

test('of a field that both changed Keyward keeps its own', () => {
  expect(merge(BEFORE, { ...BEFORE, name: 'b' }, { ...BEFORE, name: 'c' })).toEqual({
    changes: { name: 'b' },
    conflicts: ['name'],
    unseen: [],
  });
});

test.each<[string, Fields, Fields, Fields]>([
  ['an earlier expiry beats a later one', { expires_at: null }, { expires_at: T2 }, { expires_at: T1 }],
  ['an expiry beats none', { expires_at: T2 }, { expires_at: null }, { expires_at: T1 }],
])('where the platform lets in less, that stays: %s', (_, before, here, there) => {
  const merged = merge({ ...BEFORE, ...before }, { ...BEFORE, ...here }, { ...BEFORE, ...there });
  expect(merged).toEqual({ changes: {}, conflicts: ['expires_at'], unseen: ['expires_at'] });
});

test('the order of tags is no change, and a time of use only moves on', () => {
  expect(changedHere(BEFORE, { ...BEFORE, tags: ['y', 'x'] })).toEqual([]);
  expect(changedHere({ ...BEFORE, last_used_at: T2 }, { ...BEFORE, last_used_at: T1 })).toEqual([]);
  const { changes } = merge(BEFORE, { ...BEFORE, last_used_at: T2 }, { ...BEFORE, last_used_at: T1 });
  expect(changes).toEqual({ last_used_at: T2 });
  expect(isUse(changes)).toBe(true);
  expect(merge(BEFORE, { ...BEFORE, last_used_at: T1 }, { ...BEFORE, last_used_at: T2 }).changes).toEqual({});
});

test('a name that an import made of one that was taken is no change', () => {
  expect(changedHere(BEFORE, { ...BEFORE, name: 'a-2' })).toEqual([]);
  expect(changedHere(BEFORE, { ...BEFORE, name: 'b-2' })).toEqual(['name']);
});
