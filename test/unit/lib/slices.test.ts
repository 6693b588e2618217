import fc from 'fast-check';
import { expect, test } from 'vitest';
import { slicesOf } from '../../../src/lib/slices.js';

test('slices are all items in their order, none is too many or too large, but for one item that is', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 50 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 5 }), (items, maxItems) => {
      const slices = [...slicesOf(items, (size) => size, { maxItems, maxSize: 15 })];
      expect(slices.flat()).toEqual(items);
      for (const slice of slices) {
        expect(slice.length).toBeGreaterThan(0);
        expect(slice.length).toBeLessThanOrEqual(maxItems);
        if (slice.length > 1) expect(slice.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(15);
      }
    }),
  );
});

test('a slice is as large as it may be', () => {
  expect([...slicesOf([1, 2, 3, 4, 99, 1], (size) => size, { maxItems: 3, maxSize: 7 })]).toEqual([
    [1, 2, 3],
    [4],
    [99],
    [1],
  ]);
});
