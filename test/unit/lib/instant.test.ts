import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatPgTimestamp,
  instantFromMillis,
  MAX_INSTANT,
  millisFromInstant,
  MIN_INSTANT,
  parsePgTimestamp,
} from '../../../src/lib/instant.js';

const anyInstant = fc.bigInt(MIN_INSTANT, MAX_INSTANT);

test('the range is that of google.protobuf.Timestamp', () => {
  expect(formatPgTimestamp(MIN_INSTANT)).toBe('0001-01-01T00:00:00.000000Z');
  expect(formatPgTimestamp(MAX_INSTANT)).toBe('9999-12-31T23:59:59.999999Z');
});

describe("PostgreSQL's text is read to the microsecond", () => {
  test.each<[string, bigint]>([
    ['1970-01-01 00:00:00+00', 0n],
    ['1969-12-31 23:59:59.999999+00', -1n],
    ['2026-01-31 12:00:00.5+05:30', 1_769_841_000_500_000n],
    ['2026-01-31 12:00:00.000001-08', 1_769_889_600_000_001n],
    ['1880-01-01 00:00:00-00:53:28', -2_840_137_592_000_000n],
    ['10000-01-01 10:00:00+14', 253_402_286_400_000_000n],
    ['0001-12-31 18:07:02-07:52:58 BC', MIN_INSTANT + 7_200_000_000n],
  ])('%s', (text, instant) => {
    expect(parsePgTimestamp(text)).toBe(instant);
  });
});

test.each([
  ['infinity', MAX_INSTANT],
  ['-infinity', MIN_INSTANT],
  ['10000-01-01 00:00:00+00', MAX_INSTANT],
  ['294276-12-31 23:59:59.999999+00', MAX_INSTANT],
  ['0001-12-31 23:59:59.999999+00 BC', MIN_INSTANT],
  ['4714-11-24 00:00:00+00 BC', MIN_INSTANT],
])('%s lies outside the range and becomes its nearest end', (text, end) => {
  expect(parsePgTimestamp(text)).toBe(end);
});

test.each(['', '2026-01-31', 'Sat Jan 31 12:00:00 2026 UTC', '2026-01-31 12:00:00'])(
  '%j is refused',
  (text) => {
    expect(() => parsePgTimestamp(text)).toThrow('not a timestamptz in ISO form');
  },
);

test('every instant survives its text form', () => {
  fc.assert(
    fc.property(anyInstant, (instant) => {
      const text = formatPgTimestamp(instant).replace('T', ' ').replace('Z', '+00');
      expect(parsePgTimestamp(text)).toBe(instant);
    }),
  );
});

test('milliseconds survive, with microseconds as a fraction for the times of this century', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 4_102_444_800_000_000n), (instant) => {
      expect(instantFromMillis(millisFromInstant(instant))).toBe(instant);
    }),
  );
});
