import fc from 'fast-check';
import { expect, test } from 'vitest';
import { judge, VerdictRecord, type KnownReason, type VerdictFacts } from '../../../src/token/verdict.js';
import { ANY_OWNER } from '../../support/verdict-facts.js';

const NOW = Date.UTC(2026, 0, 31);
const FACTS: VerdictFacts = {
  digest: '',
  tokenId: 1n,
  keyId: '3f2504e0-4f89-41d3-9a0c-0305e82c3301',
  name: 'key',
  isActive: true,
  expiresAt: null,
  createdAt: 0n,
  scopes: ['billing.*'],
  owner: ANY_OWNER,
};

/** What is wrong with a token, in the order in which the protocol lists the reasons. */
const FLAWS: readonly (readonly [KnownReason, (facts: VerdictFacts) => VerdictFacts])[] = [
  ['EXPIRED', (facts) => ({ ...facts, expiresAt: BigInt(NOW) * 1000n - 1n })],
  ['OWNER_INACTIVE', (facts) => ({ ...facts, owner: { ...facts.owner, userIsActive: false } })],
  ['INACTIVE', (facts) => ({ ...facts, isActive: false })],
  ['ACCOUNT_INACTIVE', (facts) => ({ ...facts, owner: { ...facts.owner, accountIsActive: false } })],
  ['INSUFFICIENT_SCOPE', (facts) => ({ ...facts, scopes: ['other'] })],
];

function verdict(
  facts: VerdictFacts,
  requiredScopes: readonly string[] = ['billing.read'],
  now = NOW,
): KnownReason {
  return judge(new VerdictRecord(facts, { ...facts.owner, current: true }, 0, ''), requiredScopes, now);
}

test('of several flaws the first in the order of the protocol is the verdict', () => {
  for (let flaws = 0; flaws < 2 ** FLAWS.length; flaws += 1) {
    const present = FLAWS.filter((_, index) => (flaws & (1 << index)) !== 0);
    const facts = present.reduce((changed, [, spoil]) => spoil(changed), FACTS);
    expect(verdict(facts)).toBe(present[0]?.[0] ?? 'OK');
  }
});

test('a token expires strictly after its expiry, to the microsecond', () => {
  const expiring = { ...FACTS, expiresAt: BigInt(NOW) * 1000n + 500n };
  expect(verdict(expiring, [], NOW)).toBe('OK');
  expect(verdict(expiring, [], NOW + 0.5)).toBe('OK');
  expect(verdict(expiring, [], NOW + 0.501)).toBe('EXPIRED');
});

test('a token without an expiry never expires', () => {
  expect(verdict(FACTS, [], Number.MAX_SAFE_INTEGER)).toBe('OK');
});

test('an owner who is not staff any more keeps the tokens', () => {
  expect(verdict({ ...FACTS, owner: { ...FACTS.owner, isStaff: false } })).toBe('OK');
});

test('every required scope must be covered', () => {
  const scope = fc.constantFrom('a', 'b', 'c.d', 'c.e', 'c.*', '*');
  fc.assert(
    fc.property(fc.array(scope), fc.array(scope), (scopes, required) => {
      const covered = required.every((each) => verdict({ ...FACTS, scopes }, [each]) === 'OK');
      expect(verdict({ ...FACTS, scopes }, required)).toBe(covered ? 'OK' : 'INSUFFICIENT_SCOPE');
    }),
  );
});
