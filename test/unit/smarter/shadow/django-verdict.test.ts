import { expect, test } from 'vitest';
import { djangoVerdict, type DjangoFacts } from '../../../../src/smarter/shadow/django-verdict.js';

const NOW = 1_000_000n;
const TEXT = 'abcdefghijklmnopqrstuvwxyz';
const GOOD: DjangoFacts = {
  digest: 'd'.repeat(128),
  tokenKey: 'abcdefghijklmno',
  expiresAt: null,
  user: { username: 'alice', isActive: true, isStaff: true },
  smarter: { keyId: 'k', name: 'n', isActive: true },
  namesakes: 1,
};
const { user } = GOOD;

test.each<[string, DjangoFacts | undefined, string]>([
  ['a good key', GOOD, 'OK'],
  ['no row', undefined, 'UNKNOWN'],
  ['another beginning than the text', { ...GOOD, tokenKey: 'abcdefghijklmnX' }, 'UNKNOWN'],
  ['expired a moment ago', { ...GOOD, expiresAt: NOW - 1n }, 'EXPIRED'],
  ['expires at this moment', { ...GOOD, expiresAt: NOW }, 'OK'],
  ['its owner is switched off', { ...GOOD, user: { ...user, isActive: false } }, 'OWNER_INACTIVE'],
  ['switched off', { ...GOOD, smarter: { keyId: 'k', name: 'n', isActive: false } }, 'INACTIVE'],
  ['no Smarter row', { ...GOOD, smarter: null }, 'FAILS'],
  ['several keys begin like it', { ...GOOD, namesakes: 2 }, 'FAILS'],
  ['its owner is not staff', { ...GOOD, user: { ...user, isStaff: false } }, 'FAILS'],
  [
    'expired before its owner was switched off',
    { ...GOOD, expiresAt: 0n, user: { ...user, isActive: false } },
    'EXPIRED',
  ],
  [
    'its owner is switched off and it has no Smarter row',
    { ...GOOD, smarter: null, user: { ...user, isActive: false } },
    'OWNER_INACTIVE',
  ],
])('the platform judges a key: %s', (_, facts, verdict) => {
  expect(djangoVerdict(facts, NOW, TEXT)).toBe(verdict);
});

test('the first characters are counted as Python does', () => {
  const tokenKey = '😀'.repeat(15);
  expect(djangoVerdict({ ...GOOD, tokenKey }, NOW, '😀'.repeat(16))).toBe('OK');
});
