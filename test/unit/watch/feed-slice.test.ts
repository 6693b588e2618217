import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Revision } from '../../../src/coherence/change.js';
import {
  formatPosition,
  parsePosition,
  restOf,
  slicesOf,
  type FeedItem,
  type Position,
} from '../../../src/watch/feed-slice.js';
import { EPOCH, revisionOf } from './feed-fixture.js';

const START = { epoch: EPOCH, revision: 0n, skip: 0 };

/** Some revisions after the beginning, by how much each changed. */
const REVISIONS = fc
  .array(fc.nat(7), { minLength: 1, maxLength: 8 })
  .map((sizes) => sizes.map((size, index) => revisionOf(BigInt(index + 1), size)));

function idsOf(items: readonly FeedItem[]): (bigint | undefined)[] {
  return items.map(({ change }) => change.id);
}

function allIds(revisions: readonly Revision[]): (bigint | undefined)[] {
  return revisions.flatMap(({ changes }) => changes.map(({ id }) => id));
}

test('slices hold every change once, in order, and lead to the end', () => {
  fc.assert(
    fc.property(REVISIONS, fc.integer({ min: 1, max: 5 }), (revisions, most) => {
      const slices = slicesOf(EPOCH, revisions, most);
      expect(slices.flatMap(({ items }) => idsOf(items))).toEqual(allIds(revisions));
      expect(slices.every(({ items }) => items.length <= most)).toBe(true);
      expect(slices.at(-1)?.end).toEqual({
        epoch: EPOCH,
        revision: BigInt(revisions.length),
        skip: 0,
      });
    }),
  );
});

test('whoever goes on from any position of any slicing gets exactly what is left', () => {
  fc.assert(
    fc.property(
      REVISIONS,
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 5 }),
      (revisions, most, otherMost) => {
        const taken: (bigint | undefined)[] = [];
        for (const { items, end } of slicesOf(EPOCH, revisions, most)) {
          taken.push(...idsOf(items));
          const rest = revisions.filter(({ revision }) => revision > end.revision);
          const slices = rest.length === 0 ? [] : slicesOf(EPOCH, rest, otherMost);
          const left = slices.flatMap((slice) => idsOf(restOf(slice, end).items));
          expect([...taken, ...left]).toEqual(allIds(revisions));
        }
      },
    ),
  );
});

test('the text of a position is read back, and no other text is', () => {
  const positions = fc.record({
    epoch: fc.uuid(),
    revision: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
    skip: fc.nat(9_999),
  });
  fc.assert(
    fc.property(positions, (position: Position) => {
      expect(parsePosition(formatPosition(position))).toEqual(position);
    }),
  );
  // The version before told no epoch.
  expect(parsePosition('12.3')).toEqual({ epoch: undefined, revision: 12n, skip: 3 });
  for (const text of [
    ':1',
    'x:1',
    `${EPOCH}:`,
    `${EPOCH}1`,
    '',
    '-1',
    '1.0',
    '1.',
    '.1',
    '01',
    '1.01',
    '1 ',
    '9223372036854775808',
    '1e3',
  ])
    expect(parsePosition(text)).toBeUndefined();
});

test('a slice that holds nothing known is handed on as it is, so that all share it', () => {
  const [slice] = slicesOf(EPOCH, [revisionOf(1n, 3)], 10);
  if (slice === undefined) throw new Error('a revision gives a slice');
  expect(restOf(slice, START)).toBe(slice);
});
