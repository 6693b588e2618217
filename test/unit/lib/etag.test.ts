import fc from 'fast-check';
import { expect, test } from 'vitest';
import { etagOf } from '../../../src/lib/etag.js';

test('two states of a row have the same etag only if they have the same number', () => {
  const version = fc.bigInt(1n, 2n ** 63n - 1n);
  fc.assert(
    fc.property(version, version, (a, b) => {
      expect(etagOf(a) === etagOf(b)).toBe(a === b);
      expect(etagOf(a)).toMatch(/^[A-Za-z0-9_-]+$/);
    }),
  );
});
