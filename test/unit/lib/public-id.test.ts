import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  hashedId,
  idFromHashedId,
  idFromRecordLocator,
  publicIdsIn,
  recordLocator,
  type ResourceKind,
} from '../../../src/lib/public-id.js';
import { SMARTER_VECTORS } from '../../support/smarter-vectors.js';

const KINDS: Readonly<Record<string, ResourceKind>> = { Account: 'account', UserProfile: 'userprofile' };

describe('public ids are those of the platform that Keyward takes over from', () => {
  test.each(SMARTER_VECTORS.hashed_id)(
    '$id_text has the hashed id $hashed_id, and is read back from it',
    (vector) => {
      expect(hashedId(BigInt(vector.id_text))).toBe(vector.hashed_id);
      expect(idFromHashedId(vector.hashed_id)).toBe(BigInt(vector.id_text));
    },
  );

  const texts = SMARTER_VECTORS.id_from_hashed_id.filter(({ input }) => typeof input === 'string');

  test.each(texts.filter(({ canonical }) => canonical === true))('$input is read', ({ input, output }) => {
    expect(idFromHashedId(String(input))).toBe(bigintOf(output));
  });

  test.each(texts.filter(({ canonical }) => canonical !== true))(
    '$input is refused: it is never written',
    ({ input }) => {
      expect(idFromHashedId(String(input))).toBeUndefined();
    },
  );

  test.each(SMARTER_VECTORS.record_locator.filter(({ model }) => model in KINDS))(
    '$model $id has the record locator $record_locator',
    ({ model, id, record_locator }) => {
      expect(recordLocator(KINDS[model] ?? 'token', BigInt(id ?? 0))).toBe(record_locator);
    },
  );

  test('the vectors hold both readable and unreadable hashed ids, and numbers above 2^53', () => {
    expect(texts.filter(({ canonical }) => canonical === true).length).toBeGreaterThan(5);
    expect(texts.filter(({ canonical }) => canonical !== true).length).toBeGreaterThan(20);
    expect(SMARTER_VECTORS.hashed_id.some(({ id_text }) => BigInt(id_text) > 2n ** 53n)).toBe(true);
  });
});

test('every number is read back from its hashed id and its record locator', () => {
  fc.assert(
    fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), (id) => {
      expect(idFromHashedId(hashedId(id))).toBe(id);
      expect(idFromRecordLocator('token', recordLocator('token', id))).toBe(id);
    }),
  );
});

test('a text that is read as a number is the one that is written for it', () => {
  const likely = fc.stringMatching(/^r[A-Za-z0-9_-]{1,30}x$/);
  fc.assert(
    fc.property(fc.oneof(fc.string(), likely), (text) => {
      const id = idFromHashedId(text);
      if (id !== undefined) expect(hashedId(id)).toBe(text);
    }),
  );
});

test('a record locator of another kind names nothing', () => {
  expect(idFromRecordLocator('account', recordLocator('token', 1n))).toBeUndefined();
  expect(idFromRecordLocator('token', hashedId(1n))).toBeUndefined();
});

function bigintOf(value: unknown): bigint {
  if (typeof value === 'number') return BigInt(value);
  return BigInt((value as { value: string }).value);
}

describe('in a text', () => {
  const found = (text: string) => [...publicIdsIn(text)].map(({ text: id }) => id);

  test.each(SMARTER_VECTORS.find_hash.filter(({ input }) => typeof input === 'string'))(
    'of $input the first id is found that the platform finds, if it is one',
    ({ input, output }) => {
      // The platform takes the longest text between an r and an x, whatever it stands for.
      const hash = typeof output === 'string' ? output : '';
      const ids = found(String(input));
      if (idFromHashedId(hash) !== undefined) expect(ids[0]?.replace(/^[a-z]+-/, '')).toBe(hash);
      for (const id of ids) expect(String(input)).toContain(id);
      if (output === null) expect(ids).toEqual([]);
    },
  );

  test.each([
    ['secret-rMTYxNjMzOTYx', ['secret-rMTYxNjMzOTYx']],
    ['mysecret-rMTYxNjMzOTYx', ['rMTYxNjMzOTYx']],
    ['harbor-rMTYxNjMzOTYx', ['rMTYxNjMzOTYx']],
    ['rMTAwMDE1MwxrMTAxNzc1OAx', ['rMTAwMDE1Mwx', 'rMTAxNzc1OAx']],
    ['user_rMTAwMDE1Mwx_x', ['rMTAwMDE1Mwx']],
    [`${hashedId(100_000_001n)}x`, [hashedId(100_000_001n)]],
    [hashedId(0n), []],
    [hashedId(2n ** 63n), []],
  ])('%s holds %j', (text, ids) => {
    expect(found(text)).toEqual(ids);
  });

  test('every id is found in whatever stands around it, as long as that does not go on with it', () => {
    const around = fc.string().filter((text) => !/[A-Za-z0-9_-]/.test(text));
    const kind = fc.constantFrom<ResourceKind[]>('account', 'userprofile', 'token', 'secret');
    fc.assert(
      fc.property(fc.bigInt(1n, 2n ** 63n - 1n), kind, around, around, (id, of, before, after) => {
        const locator = recordLocator(of, id);
        expect([...publicIdsIn(`${before}${locator}${after}`)]).toEqual([{ text: locator, id, kind: of }]);
        expect(found(`${before}${hashedId(id)}${after}`)).toEqual([hashedId(id)]);
      }),
    );
  });
});
