import { expect, test } from 'vitest';
import { Layout, type Slice } from '../../../../src/smarter/follow/slices.js';

const PLACE = { everywhere: 'true', literal: (text: string) => text };
const DIGESTS = { place: { ...PLACE, column: 'digest' }, slower: 1 };
const NUMBERS = {
  place: { ...PLACE, column: 'id', numbers: { of: 'id', highest: 'max(id)', bucket: 64 } },
  slower: 1,
};

function holds({ from, to }: Slice, isBefore: (bound: string) => boolean): boolean {
  return (from === undefined || !isBefore(from)) && (to === undefined || isBefore(to));
}

test.each([1, 50, 2_001, 100_000, 5_000_000])(
  'of %i digests each is in one slice, with its bucket',
  (rows) => {
    const layout = new Layout(DIGESTS, { rows, highest: 0 });
    for (let place = 0; place < 65_536; place += 7) {
      const digest = place.toString(16).padStart(4, '0');
      const inSlices = layout.slices.filter((slice) => holds(slice, (bound) => digest < bound));
      expect(inSlices).toHaveLength(1);
      const digits = /LEFT\(digest, (\d)\)/.exec(layout.bucketOf((text) => text))?.[1];
      expect(layout.sliceOf(digest.slice(0, Number(digits)))).toBe(inSlices[0]);
    }
  },
);

test.each([
  [10, 10],
  [2_001, 2_001],
  [100_000, 123_456],
  [100_000, 4_000_000_000],
])('of %i numbers up to %i each is in one slice, with its bucket', (rows, highest) => {
  const layout = new Layout(NUMBERS, { rows, highest });
  for (let share = 0; share <= 1.5; share += 0.001) {
    const id = Math.floor(share * highest);
    const inSlices = layout.slices.filter((slice) => holds(slice, (bound) => id < Number(bound)));
    expect(inSlices).toHaveLength(1);
    expect(layout.sliceOf(String(Math.floor(id / 64)))).toBe(inSlices[0]);
  }
});

test('a slice is of 20,000 rows at most, and a small table is one', () => {
  expect(new Layout(DIGESTS, { rows: 2_000, highest: 0 }).slices).toHaveLength(1);
  expect(new Layout(DIGESTS, { rows: 100_000, highest: 0 }).slices).toHaveLength(6);
  expect(new Layout(DIGESTS, { rows: 1_000_000, highest: 0 }).slices).toHaveLength(50);
  expect(new Layout({ ...DIGESTS, slower: 4 }, { rows: 100_000, highest: 0 }).slices).toHaveLength(24);
});

test('places that are no hexadecimal digits are of no slice', () => {
  expect(new Layout(DIGESTS, { rows: 100_000, highest: 0 }).sliceOf('ABC')).toBeUndefined();
});
