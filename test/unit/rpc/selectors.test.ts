import { describe, expect, test } from 'vitest';
import { hashedId, recordLocator } from '../../../src/lib/public-id.js';
import {
  readName,
  readPublicId,
  readUserProfileSelector,
  readUserSelector,
} from '../../../src/rpc/selectors.js';
import { fromDuration, fromTimestamp, toTimestamp } from '../../../src/rpc/timestamp.js';
import { MAX_INSTANT, MIN_INSTANT } from '../../../src/lib/instant.js';
import fc from 'fast-check';
import { readWith } from '../../support/violations.js';

const NOTHING = { by: 'id', id: 0n };

describe('public ids', () => {
  test('the three forms name the same', () => {
    for (const selector of [
      { $case: 'id', value: 7n },
      { $case: 'hashedId', value: hashedId(7n) },
      { $case: 'recordLocator', value: recordLocator('account', 7n) },
    ] as const) {
      expect(readWith((v) => readPublicId(v, 'account', 'account', selector))).toEqual({
        value: { by: 'id', id: 7n },
        violations: [],
      });
    }
  });

  test.each(['', 'x', hashedId(0n), hashedId(-1n), hashedId(2n ** 63n), `${hashedId(7n)} `])(
    'the hashed id %j names nothing, like one that does not exist',
    (value) => {
      expect(readWith((v) => readPublicId(v, 'account', 'account', { $case: 'hashedId', value }))).toEqual({
        value: NOTHING,
        violations: [],
      });
    },
  );

  test('a record locator of another kind names nothing', () => {
    const selector = { $case: 'recordLocator', value: recordLocator('token', 7n) } as const;
    expect(readWith((v) => readPublicId(v, 'account', 'account', selector)).value).toEqual(NOTHING);
  });

  test.each([0n, -1n])('the number %s is refused', (value) => {
    expect(readWith((v) => readPublicId(v, 'account', 'account', { $case: 'id', value })).violations).toEqual(
      ['account.id must be above 0'],
    );
  });
});

describe('users and profiles', () => {
  test('by id, and by name', () => {
    expect(
      readWith((v) => readUserSelector(v, 'user', { selector: { $case: 'id', value: 7n } })).value,
    ).toEqual({
      by: 'id',
      id: 7n,
    });
    expect(
      readWith((v) => readUserSelector(v, 'user', { selector: { $case: 'username', value: 'é ü' } })),
    ).toEqual({
      value: { by: 'username', username: 'é ü' },
      violations: [],
    });
    const membership = {
      $case: 'membership',
      value: { username: 'alice', accountNumber: '0000-0000-0001' },
    } as const;
    expect(readWith((v) => readUserProfileSelector(v, 'owner', { selector: membership })).value).toEqual({
      by: 'membership',
      username: 'alice',
      accountNumber: '0000-0000-0001',
    });
    expect(
      readWith((v) => readUserProfileSelector(v, 'owner', { selector: { $case: 'id', value: 7n } })).value,
    ).toEqual({ by: 'id', id: 7n });
  });

  test.each([undefined, { selector: undefined }])(
    'a selector that names nothing is refused: %j',
    (message) => {
      const rule = 'must name one, by exactly one of its fields';
      expect(readWith((v) => readUserSelector(v, 'user', message))).toEqual({
        value: NOTHING,
        violations: [`user ${rule}`],
      });
      expect(readWith((v) => readUserProfileSelector(v, 'owner', message))).toEqual({
        value: NOTHING,
        violations: [`owner ${rule}`],
      });
    },
  );

  test('all that is wrong with a membership is told', () => {
    const membership = { $case: 'membership', value: { username: '', accountNumber: 'x\0' } } as const;
    expect(readWith((v) => readUserProfileSelector(v, 'owner', { selector: membership })).violations).toEqual(
      [
        'owner.membership.username is required',
        'owner.membership.account_number must not contain NUL or unpaired surrogates',
      ],
    );
  });

  test('a name is read whatever it is, if the database can hold it', () => {
    expect(readWith((v) => readName(v, 'name', ' -é🔑/ ', 255)).violations).toEqual([]);
    expect(readWith((v) => readName(v, 'name', 'x'.repeat(256), 255)).violations).toEqual([
      'name must be at most 255 characters long',
    ]);
  });
});

describe('times and spans', () => {
  test('every instant survives its Timestamp', () => {
    fc.assert(
      fc.property(fc.bigInt(MIN_INSTANT, MAX_INSTANT), (instant) => {
        const timestamp = toTimestamp(instant) ?? { seconds: 0n, nanos: -1 };
        expect(readWith((v) => fromTimestamp(v, 'at', timestamp))).toEqual({
          value: instant,
          violations: [],
        });
      }),
    );
    expect(toTimestamp(null)).toBeUndefined();
  });

  test.each([
    [{ seconds: 0n, nanos: -1 }],
    [{ seconds: 0n, nanos: 1_000_000_000 }],
    [{ seconds: 253_402_300_800n, nanos: 0 }],
    [{ seconds: -62_135_596_801n, nanos: 0 }],
    [{ seconds: 2n ** 63n - 1n, nanos: 0 }],
  ])('the timestamp %# is refused', (timestamp) => {
    expect(readWith((v) => fromTimestamp(v, 'at', timestamp)).violations).toEqual([
      'at must be a valid timestamp of the years 1 to 9999',
    ]);
  });

  test('what is finer than a microsecond is dropped', () => {
    expect(readWith((v) => fromTimestamp(v, 'at', { seconds: -1n, nanos: 1_999 })).value).toBe(-999_999n);
    expect(readWith((v) => fromDuration(v, 'for', { seconds: 1n, nanos: 1_999 })).value).toBe(1_000_001n);
    expect(readWith((v) => fromDuration(v, 'for', { seconds: 0n, nanos: -1_999 })).value).toBe(-1n);
  });

  test.each([
    [{ seconds: 1n, nanos: -1 }],
    [{ seconds: -1n, nanos: 1 }],
    [{ seconds: 0n, nanos: 1_000_000_000 }],
    [{ seconds: 315_576_000_001n, nanos: 0 }],
    [{ seconds: -315_576_000_001n, nanos: 0 }],
  ])('the duration %# is refused', (duration) => {
    expect(readWith((v) => fromDuration(v, 'for', duration)).violations).toEqual([
      'for must be a valid duration',
    ]);
  });
});
