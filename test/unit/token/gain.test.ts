import fc from 'fast-check';
import { expect, test } from 'vitest';
import { covers } from '../../../src/lib/scopes.js';
import { isGain, type Power } from '../../../src/token/gain.js';

const OWNER = {
  profileId: 1n,
  userId: 1n,
  username: 'one',
  accountId: 1n,
  accountNumber: '0000-0000-0001',
  isSuperuser: false,
  isStaff: true,
};
const TOKEN: Power = {
  owner: OWNER,
  digest: 'a',
  graceEndsAt: 50n,
  isActive: true,
  expiresAt: 100n,
  scopes: ['app.*', 'billing'],
};
const OFF = { ...TOKEN, isActive: false };
const FOR_EVER = { ...TOKEN, expiresAt: null };

test.each<[string, Power | undefined, Partial<Power>]>([
  ['being made', undefined, {}],
  ['another plaintext', TOKEN, { digest: 'b' }],
  ['another owner', TOKEN, { owner: { ...OWNER, profileId: 2n } }],
  ['being switched on', OFF, { isActive: true }],
  ['a later expiry', TOKEN, { expiresAt: 101n }],
  ['no expiry any more', TOKEN, { expiresAt: null }],
  ['a later expiry while it is off', OFF, { expiresAt: 101n }],
  ['a longer grace', TOKEN, { graceEndsAt: 51n }],
  ['a grace that was none', { ...TOKEN, graceEndsAt: null }, { graceEndsAt: 1n }],
  ['another scope', TOKEN, { scopes: ['app.*', 'billing', 'files'] }],
  ['a wider scope', TOKEN, { scopes: ['*'] }],
  ['a scope for others', TOKEN, { scopes: ['files'] }],
  ['a later expiry for fewer scopes', TOKEN, { expiresAt: 101n, scopes: ['billing'] }],
  ['another scope while it is switched off', TOKEN, { isActive: false, scopes: ['files'] }],
])('a token gains by %s', (_, before, change) => {
  expect(isGain(before, { ...(before ?? TOKEN), ...change })).toBe(true);
});

test.each<[string, Power, Partial<Power>]>([
  ['what leaves it as it is', TOKEN, {}],
  ['staying off', OFF, {}],
  ['being switched off', TOKEN, { isActive: false }],
  ['an earlier expiry', TOKEN, { expiresAt: 99n }],
  ['an expiry', FOR_EVER, { expiresAt: 1_000_000n }],
  ['staying without expiry', FOR_EVER, { isActive: false }],
  ['a shorter grace', TOKEN, { graceEndsAt: null }],
  ['fewer scopes', TOKEN, { scopes: ['billing'] }],
  ['narrower scopes', TOKEN, { scopes: ['app.read', 'app.files.*'] }],
  ['scopes in another order', TOKEN, { scopes: ['billing', 'app.*'] }],
])('a token gains nothing by %s', (_, before, change) => {
  expect(isGain(before, { ...before, ...change })).toBe(false);
});

test('whatever passes after a change that is no gain passed before', () => {
  const scope = fc.constantFrom('*', 'app.*', 'app.read', 'app.x.*', 'app.x.y', 'billing');
  const power = fc.record({
    owner: fc.constantFrom(OWNER, { ...OWNER, profileId: 2n }),
    digest: fc.constantFrom('a', 'b'),
    graceEndsAt: fc.constantFrom(null, 1n, 3n),
    isActive: fc.boolean(),
    expiresAt: fc.constantFrom(null, 1n, 2n, 4n),
    scopes: fc.uniqueArray(scope, { minLength: 1, maxLength: 3 }),
  });
  const passes = (token: Power, digest: string, at: bigint, wanted: string): boolean => {
    const isCurrent = digest === token.digest;
    const ends = isCurrent ? null : (token.graceEndsAt ?? 0n);
    const isLive = [token.expiresAt, ends].every((end) => end === null || at <= end);
    return token.isActive && isLive && covers(token.scopes, wanted);
  };
  fc.assert(
    fc.property(power, power, (before, after) => {
      if (isGain(before, after)) return;
      for (const digest of [after.digest, 'retired']) {
        for (const at of [1n, 2n, 3n, 4n, 5n]) {
          for (const wanted of ['app.read', 'app.x.z', 'billing', 'anything']) {
            if (passes(after, digest, at, wanted)) expect(passes(before, digest, at, wanted)).toBe(true);
          }
        }
      }
    }),
    { numRuns: 5000 },
  );
});
