import { describe, expect, test } from 'vitest';
import { checkReference, consumerList } from '../../../src/lib/references.js';
import { brokenFields } from '../../support/violations.js';

describe('a reference', () => {
  const check = (kind: string, consumer: string) =>
    brokenFields((v) => checkReference(v, { kind, consumer }));

  test.each(['sql_connection.password', 'provider.api_key', 'a', 'a.b.c_1', 'k'.repeat(100)])(
    'of the kind %s is taken',
    (kind) => {
      expect(check(kind, 'consumer')).toEqual([]);
    },
  );

  test.each(['', '.a', 'a.', 'a..b', 'A.b', 'a b', 'k'.repeat(101)])(
    'of the kind "%s" is refused',
    (kind) => {
      expect(check(kind, 'consumer')).toEqual(['kind']);
    },
  );

  test('names its consumer, in up to 255 characters', () => {
    expect(check('k', 'ż'.repeat(255))).toEqual([]);
    for (const consumer of ['', 'x'.repeat(256), 'x\0']) expect(check('k', consumer)).toEqual(['consumer']);
  });

  test('the list of consumers never outgrows what the headers of an error can hold', () => {
    const references = Array.from({ length: 20 }, (_, index) => ({ kind: 'k', consumer: `c${index}` }));
    expect(consumerList(references).split(',')).toHaveLength(10);
    const long = references.map(({ kind }) => ({ kind, consumer: '🔑'.repeat(255) }));
    expect(consumerList(long).split(',')).toHaveLength(1);
    expect(Buffer.byteLength(consumerList(long))).toBeLessThan(2_000);
    expect(consumerList([])).toBe('');
  });
});
