import { describe, expect, test } from 'vitest';
import type { CallerRights } from '../../../../src/authz/rights.js';
import { KeywardError } from '../../../../src/lib/errors.js';
import { judgeAccess, type AccessFacts, type Wanted } from '../../../../src/secret/access/access.js';

const NOW = 1_769_817_600_000_000n;
const MANAGER: CallerRights = {
  userId: 1n,
  isStaff: false,
  isSuperuser: false,
  profiles: [{ id: 1n, accountId: 10n }],
};
const READER: CallerRights = { ...MANAGER, userId: 2n, profiles: [{ id: 2n, accountId: 10n }] };
const STRANGER: CallerRights = { ...MANAGER, userId: 3n, profiles: [{ id: 3n, accountId: 30n }] };

const SECRET = {
  id: 7n,
  owner: {
    profileId: 1n,
    userId: 1n,
    username: 'owner',
    accountId: 10n,
    accountNumber: '0000-0000-0010',
    isSuperuser: false,
    isStaff: false,
  },
  expiresAt: null,
  grantEndsAt: null,
};
const VERSION = {
  number: 2,
  state: 'ENABLED' as const,
  format: 'TEXT' as const,
  keyId: null,
  binding: null,
  ciphertext: Buffer.from('x'),
};

function judge(facts: Partial<AccessFacts>, wanted: Partial<Wanted> = {}): string {
  try {
    const all = { callerRights: MANAGER, secret: SECRET, version: VERSION, ...facts };
    return `version ${judgeAccess(all, { version: null, includeExpired: false, ...wanted }, NOW).version.number}`;
  } catch (error) {
    if (!(error instanceof KeywardError)) throw error;
    return error.reason;
  }
}

describe('a value is given', () => {
  test('to those who manage the secret, or have a grant that is in force', () => {
    expect(judge({})).toBe('version 2');
    for (const callerRights of [READER, STRANGER]) {
      expect(judge({ callerRights, secret: { ...SECRET, grantEndsAt: NOW } })).toBe('version 2');
    }
  });

  test('of an expired secret to those who manage it and ask for that', () => {
    const secret = { ...SECRET, expiresAt: NOW - 1n, grantEndsAt: NOW };
    expect(judge({ secret })).toBe('SECRET_EXPIRED');
    expect(judge({ secret }, { includeExpired: true })).toBe('version 2');
    expect(judge({ callerRights: READER, secret }, { includeExpired: true })).toBe('NOT_PERMITTED');
  });
});

describe('a refusal', () => {
  const expired = { ...SECRET, expiresAt: NOW - 1n };
  const disabled = { ...VERSION, state: 'DISABLED' as const, ciphertext: null };
  const destroyed = { ...VERSION, state: 'DESTROYED' as const, ciphertext: null };
  const CASES: [string, Partial<AccessFacts>, Partial<Wanted>, string][] = [
    ['a user who is gone', { callerRights: undefined }, {}, 'CREDENTIALS_REFUSED'],
    ['no secret', { secret: undefined, version: undefined }, {}, 'NOT_FOUND'],
    ['a secret that the caller may not read', { callerRights: STRANGER }, {}, 'NOT_FOUND'],
    [
      'one of which the grant is over',
      { callerRights: STRANGER, secret: { ...SECRET, grantEndsAt: NOW - 1n } },
      {},
      'NOT_FOUND',
    ],
    ['one that the caller may only read', { callerRights: READER }, {}, 'NOT_PERMITTED'],
    ['an unknown version', { version: undefined }, { version: 9 }, 'NOT_FOUND'],
    ['no enabled version', { version: undefined }, {}, 'VERSION_NOT_ENABLED'],
    ['a disabled version', { version: disabled }, { version: 2 }, 'VERSION_NOT_ENABLED'],
    ['a destroyed version', { version: destroyed }, { version: 2 }, 'VERSION_NOT_ENABLED'],
    ['expired, hidden', { callerRights: STRANGER, secret: expired }, { includeExpired: true }, 'NOT_FOUND'],
    ['expired, readable', { callerRights: READER, secret: expired }, {}, 'NOT_PERMITTED'],
    ['expired, without a version', { secret: expired, version: undefined }, {}, 'SECRET_EXPIRED'],
  ];

  test.each(CASES)('of %s says so', (_, facts, wanted, reason) => {
    expect(judge(facts, wanted)).toBe(reason);
  });
});
