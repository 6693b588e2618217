import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkFields } from '../../../src/lib/fields.js';
import { MAX_INSTANT } from '../../../src/lib/instant.js';
import { digestBytes, digestFromBytes, digestHex, digestOf } from '../../../src/crypto/digest.js';
import {
  checkGrace,
  newPlaintext,
  prefixOf,
  TOKEN_FIELDS,
  type TokenChange,
  type TokenSettings,
} from '../../../src/token/token.js';
import { anyText } from '../../support/arbitrary.js';
import { brokenFields } from '../../support/violations.js';

const NOW = 1_769_817_600_000_000n;
const SETTINGS: TokenSettings = {
  name: 'Production Key',
  description: '',
  version: '1.0.0',
  tags: [],
  annotations: new Map(),
  manifestPath: '',
  scopes: ['*'],
  expiresAt: null,
  isActive: true,
  prefix: '',
};

test('a digest is the SHA-512 of the UTF-8 bytes, and survives its byte and hex forms', () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      const digest = digestOf(text);
      expect(digestHex(digest)).toBe(createHash('sha512').update(text, 'utf8').digest('hex'));
      expect(digestOf(Buffer.from(text))).toBe(digest);
      expect(digestFromBytes(digestBytes(digest))).toBe(digest);
      expect(digestBytes(digest)).toHaveLength(64);
    }),
  );
});

test('a plaintext is its prefix and 64 lower-case hex digits, and never comes twice', () => {
  const seen = new Set<string>();
  for (const prefix of ['', 'sk_live-', '~!$', 'A'.repeat(10)]) {
    for (let count = 0; count < 100; count += 1) {
      const { plaintext, digest, tokenKey } = newPlaintext(prefix);
      expect(plaintext.slice(0, prefix.length)).toBe(prefix);
      expect(plaintext.slice(prefix.length)).toMatch(/^[0-9a-f]{64}$/);
      expect(digest).toBe(digestOf(plaintext));
      expect(tokenKey).toBe(plaintext.slice(0, 15));
      seen.add(plaintext);
    }
  }
  expect(seen.size).toBe(400);
});

test.each([
  ['smarter_0a1b2c3', 'smarter_'],
  ['sk:!0a1b2c3d4e5', 'sk:!'],
  ['0a1b2c3d4e5f6a7', ''],
  ['prod0a1b2c3d4e5', 'pro'],
  ['ABCDEFGHIJ0a1b2', 'ABCDEFGHIJ'],
  ['ABCDEFGHIJK0a1b', ''],
  ['a b-0a1b2c3d4e5', ''],
  ['clé0a1b2c3d4e5f', ''],
  ['a\n0a1b2c3d4e5f6', ''],
])('of the beginning %j the prefix is %j, all that is certain and allowed', (tokenKey, prefix) => {
  expect(prefixOf(tokenKey)).toBe(prefix);
});

describe('settings', () => {
  test.each<[Partial<TokenSettings>, string[]]>([
    [{}, []],
    [{ prefix: 'Ab0_-Ab0_-', expiresAt: NOW + 1n, scopes: ['a'] }, []],
    [{ prefix: '!"$%{|}~:/' }, []],
    [{ expiresAt: MAX_INSTANT }, []],
    [{ prefix: 'x'.repeat(11) }, ['prefix']],
    [{ prefix: 'a b' }, ['prefix']],
    [{ prefix: 'a\n' }, ['prefix']],
    [{ prefix: 'é' }, ['prefix']],
    [{ prefix: '\x7f' }, ['prefix']],
    [{ expiresAt: NOW }, ['expires_at']],
    [{ expiresAt: MAX_INSTANT + 1n }, ['expires_at']],
    [
      { name: '', version: 'x', tags: [''], scopes: ['A'], prefix: ' ' },
      ['name', 'version', 'tags[0]', 'scopes[0]', 'prefix'],
    ],
  ])('settings %# break the rules of the fields named', (change, expected) => {
    expect(brokenFields((v) => checkFields(v, '', TOKEN_FIELDS, { ...SETTINGS, ...change }, NOW))).toEqual(
      expected,
    );
  });
});

test('a change names its fields as the request does, and cannot take all scopes away', () => {
  const broken = (change: TokenChange) =>
    brokenFields((v) => checkFields(v, 'token.', TOKEN_FIELDS, change, NOW));
  expect(broken({ scopes: [], version: 'x', expiresAt: NOW })).toEqual([
    'token.version',
    'token.scopes',
    'token.expires_at',
  ]);
  expect(broken({ expiresAt: null })).toEqual([]);
});

test.each([
  [0n, []],
  [30n * 86_400_000_000n, []],
  [-1n, ['grace_period']],
  [30n * 86_400_000_000n + 1n, ['grace_period']],
])('a grace period of %s microseconds', (grace, expected) => {
  expect(brokenFields((v) => checkGrace(v, 'grace_period', grace))).toEqual(expected);
});
