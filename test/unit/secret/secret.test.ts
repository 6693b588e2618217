import { describe, expect, test } from 'vitest';
import { PLATFORM_ACCOUNT_NUMBER, type CallerRights } from '../../../src/authz/rights.js';
import { checkFields } from '../../../src/lib/fields.js';
import { MAX_INSTANT } from '../../../src/lib/instant.js';
import { checkExpiry } from '../../../src/lib/resource-rules.js';
import {
  accessToSecret,
  checkPayload,
  isOver,
  isReady,
  MAX_PAYLOAD,
  SECRET_FIELDS,
  type Secret,
  type SecretAccess,
} from '../../../src/secret/secret.js';
import { brokenFields } from '../../support/violations.js';

const NOW = 1_769_817_600_000_000n;
const OWNER = {
  profileId: 1n,
  userId: 1n,
  username: 'owner',
  accountId: 10n,
  accountNumber: '0000-0000-0010',
  isSuperuser: false,
  isStaff: false,
};
const SETTINGS = {
  name: 'Production Key',
  description: '',
  version: '1.0.0',
  tags: [],
  annotations: new Map<string, string>(),
  manifestPath: '',
  expiresAt: null,
};
const SECRET: Secret = {
  ...SETTINGS,
  id: 1n,
  owner: OWNER,
  lastAccessedAt: null,
  latestVersion: 1,
  enabledVersion: 1,
  createdAt: NOW,
  updatedAt: NOW,
  deletedAt: null,
  purgeAt: null,
  rowVersion: 1n,
};

describe('what a caller may do with a secret', () => {
  const MEMBER: CallerRights = {
    userId: 2n,
    isStaff: false,
    isSuperuser: false,
    profiles: [{ id: 2n, accountId: 10n }],
  };
  const STRANGER = { ...MEMBER, profiles: [{ id: 3n, accountId: 30n }] };
  const CASES: [string, CallerRights, SecretAccess, SecretAccess][] = [
    ['the owner', { ...MEMBER, profiles: [{ id: 1n, accountId: 10n }] }, 'manage', 'manage'],
    ['staff of the account', { ...MEMBER, isStaff: true }, 'manage', 'manage'],
    ['a superuser', { ...STRANGER, isSuperuser: true }, 'manage', 'manage'],
    ['a member of the account', MEMBER, 'read', 'access'],
    ['staff of another account', { ...STRANGER, isStaff: true }, 'none', 'access'],
    ['a stranger', STRANGER, 'none', 'access'],
    ['a superuser without a profile', { ...STRANGER, isSuperuser: true, profiles: [] }, 'none', 'none'],
  ];

  test.each(CASES)('%s: without a grant and with one', (_, callerRights, without, granted) => {
    expect(accessToSecret(callerRights, OWNER, false)).toBe(without);
    expect(accessToSecret(callerRights, OWNER, true)).toBe(granted);
  });

  test('everyone may read what belongs to the platform, and have its value only by a grant', () => {
    const platform = { ...OWNER, accountNumber: PLATFORM_ACCOUNT_NUMBER };
    expect(accessToSecret(STRANGER, platform, false)).toBe('read');
    expect(accessToSecret(STRANGER, platform, true)).toBe('access');
  });
});

describe('time', () => {
  test('what expires counts up to and with that moment, and without one for ever', () => {
    expect([null, NOW + 1n, NOW, NOW - 1n, 0n].map((expiresAt) => isOver(expiresAt, NOW))).toEqual([
      false,
      false,
      false,
      true,
      true,
    ]);
  });

  test('a secret is ready unless it is deleted, expired or has no version to give', () => {
    expect(isReady(SECRET, NOW)).toBe(true);
    expect(isReady({ ...SECRET, deletedAt: NOW, purgeAt: NOW }, NOW)).toBe(false);
    expect(isReady({ ...SECRET, expiresAt: NOW - 1n }, NOW)).toBe(false);
    expect(isReady({ ...SECRET, enabledVersion: null }, NOW)).toBe(false);
  });

  test.each([NOW, NOW - 1n, MAX_INSTANT + 1n])('an expiry at %s is refused', (expiresAt) => {
    expect(brokenFields((v) => checkExpiry(v, 'expires_at', expiresAt, NOW))).toEqual(['expires_at']);
  });

  test.each([null, NOW + 1n, MAX_INSTANT])('an expiry at %s is taken', (expiresAt) => {
    expect(brokenFields((v) => checkExpiry(v, 'expires_at', expiresAt, NOW))).toEqual([]);
  });
});

describe('settings', () => {
  test('are all checked at once', () => {
    const broken = { ...SETTINGS, name: ' x', version: 'x', tags: [''], expiresAt: NOW };
    expect(brokenFields((v) => checkFields(v, '', SECRET_FIELDS, broken, NOW))).toEqual([
      'name',
      'version',
      'tags[0]',
      'expires_at',
    ]);
    expect(brokenFields((v) => checkFields(v, '', SECRET_FIELDS, SETTINGS, NOW))).toEqual([]);
  });

  test('that are changed are named as in the request', () => {
    const change = { version: 'x', expiresAt: NOW };
    expect(brokenFields((v) => checkFields(v, 'secret.', SECRET_FIELDS, change, NOW))).toEqual([
      'secret.version',
      'secret.expires_at',
    ]);
    expect(brokenFields((v) => checkFields(v, 'secret.', SECRET_FIELDS, { expiresAt: null }, NOW))).toEqual(
      [],
    );
  });
});

describe('a value', () => {
  const of = (format: 'TEXT' | 'BINARY', bytes: Uint8Array) =>
    brokenFields((v) => checkPayload(v, 'payload', { format, bytes }));

  test.each([1, MAX_PAYLOAD])('of %s bytes is taken', (length) => {
    expect(of('TEXT', Buffer.alloc(length, 'x'))).toEqual([]);
    expect(of('BINARY', Buffer.alloc(length, 255))).toEqual([]);
  });

  test.each([0, MAX_PAYLOAD + 1])('of %s bytes is refused', (length) => {
    expect(of('TEXT', Buffer.alloc(length, 'x'))).toEqual(['payload']);
    expect(of('BINARY', Buffer.alloc(length))).toEqual(['payload']);
  });

  test('is counted in bytes, not in characters', () => {
    expect(of('TEXT', Buffer.from('é'.repeat(MAX_PAYLOAD / 2)))).toEqual([]);
    expect(of('TEXT', Buffer.from(`${'é'.repeat(MAX_PAYLOAD / 2)}x`))).toEqual(['payload']);
  });

  test('that is to be text must be UTF-8', () => {
    expect(of('TEXT', Buffer.from([0xff]))).toEqual(['payload']);
    expect(of('TEXT', Buffer.from([0xed, 0xa0, 0x80]))).toEqual(['payload']);
  });
});
