import { expect, test } from 'vitest';
import { compare } from '../../../../src/smarter/shadow/compare.js';
import type { DjangoFacts } from '../../../../src/smarter/shadow/django-verdict.js';
import type { VerdictFacts } from '../../../../src/token/verdict.js';
import { ANY_OWNER } from '../../../support/verdict-facts.js';

const DJANGO: DjangoFacts = {
  digest: 'd'.repeat(128),
  tokenKey: 'k',
  expiresAt: null,
  user: { username: 'alice', isActive: true, isStaff: true },
  smarter: { keyId: 'k', name: 'n', isActive: true },
  namesakes: 1,
};
const KEYWARD: VerdictFacts = {
  digest: 'd',
  tokenId: 1n,
  keyId: 'k',
  name: 'n',
  isActive: true,
  expiresAt: null,
  createdAt: 0n,
  scopes: ['*'],
  owner: ANY_OWNER,
};
const off = { keyId: 'k', name: 'n', isActive: false };

test.each<[string, DjangoFacts | undefined, VerdictFacts | undefined]>([
  ['both let it in', DJANGO, KEYWARD],
  ['both refuse for one reason', { ...DJANGO, smarter: off }, { ...KEYWARD, isActive: false }],
  ['neither has it', undefined, undefined],
  ['one has it and refuses', { ...DJANGO, smarter: off }, undefined],
  ['only Keyward has it, and refuses', undefined, { ...KEYWARD, expiresAt: 1n }],
])('the same verdict: %s', (_, django, keyward) => {
  expect(compare({ django, keyward }, 5n)).toMatchObject({ outcome: 'same', causes: [] });
});

test.each<[string, DjangoFacts | undefined, VerdictFacts | undefined, string]>([
  ['absent here', DJANGO, undefined, 'presence'],
  ['absent there', undefined, KEYWARD, 'presence'],
  ['expired here', DJANGO, { ...KEYWARD, expiresAt: 1n }, 'expiry'],
  ['expired there', { ...DJANGO, expiresAt: 1n }, KEYWARD, 'expiry'],
  ['switched off here', DJANGO, { ...KEYWARD, isActive: false }, 'switch'],
  ['switched off there', { ...DJANGO, smarter: off }, KEYWARD, 'switch'],
  [
    'the owner is switched off here',
    DJANGO,
    { ...KEYWARD, owner: { ...ANY_OWNER, userIsActive: false } },
    'owner activity',
  ],
  [
    'the owner is switched off there',
    { ...DJANGO, user: { ...DJANGO.user, isActive: false } },
    KEYWARD,
    'owner activity',
  ],
  [
    'the account is switched off',
    DJANGO,
    { ...KEYWARD, owner: { ...ANY_OWNER, accountIsActive: false } },
    'account activity',
  ],
  ['it is another user', { ...DJANGO, user: { ...DJANGO.user, username: 'bob' } }, KEYWARD, 'owner'],
  [
    'both refuse, for different reasons',
    { ...DJANGO, smarter: off },
    { ...KEYWARD, expiresAt: 1n, isActive: false },
    'expiry',
  ],
])('another verdict: %s', (_, django, keyward, fact) => {
  const { outcome, causes } = compare({ django, keyward }, 5n);
  expect(outcome).toBe('differs');
  expect(causes.map((cause) => cause.fact)).toEqual([fact]);
});

test('a key on which the platform fails is no difference, and it is told why', () => {
  const { outcome, causes } = compare({ django: { ...DJANGO, namesakes: 2 }, keyward: KEYWARD }, 5n);
  expect(outcome).toBe('fails');
  expect(causes).toEqual([
    { fact: 'failure', django: 'several keys begin with the same characters', keyward: '' },
  ]);
});
