import { expect, test } from 'vitest';
import { Account, UserProfile } from '../../../src/gen/keyward/account/v1/account.js';
import { Secret } from '../../../src/gen/keyward/secret/v1/secret.js';
import { Token } from '../../../src/gen/keyward/token/v1/token.js';
import { MAX_PAGE } from '../../../src/lib/page-size.js';
import { checkDescription, MAX_DESCRIPTION_BYTES } from '../../../src/lib/resource-rules.js';
import { checked } from '../../../src/lib/violations.js';
import { encodeRequest } from '../../support/rpc.js';

/** A character that takes four bytes. */
const WIDE = '🔑';
const text = (length: number, first = ''): string => first + WIDE.repeat(length - first.length);

/** A resource with all that it may have, each text as long as it may be. */
const FULL = {
  description: text(10_000),
  version: `1.0.0-${'x'.repeat(249)}`,
  tags: Array.from({ length: 64 }, (_, index) => text(100, String(index))),
  annotations: new Map(Array.from({ length: 64 }, (_, index) => [text(253, String(index)), text(4096)])),
  manifestPath: text(1024),
};
const SCOPES = Array.from({ length: 64 }, (_, index) => String(index).padEnd(128, 'x'));
const NAMED = { ...FULL, name: 'x'.repeat(255) };
/** Ids, times, owner and names, as long as they may be. */
const OTHERS = 8 * 1024;

test('the largest resource is allowed, and is what the limits are held against', () => {
  expect(() => checked((v) => checkDescription(v, '', FULL))).not.toThrow();
});

test.each([
  ['token', Token.encode(Token.fromPartial({ ...NAMED, scopes: SCOPES }))],
  ['secret', Secret.encode(Secret.fromPartial(NAMED))],
  ['account', Account.encode(Account.fromPartial({ ...NAMED, companyName: text(255) }))],
  ['user profile', UserProfile.encode(UserProfile.fromPartial(NAMED))],
])('one %s always fits into a message', (_kind, message) => {
  expect(message.finish().length + OTHERS).toBeLessThan(MAX_PAGE);
});

const PAYLOAD = { value: { $case: 'data', value: Buffer.alloc(65_536) } } as const;

test.each([
  ['createToken', encodeRequest('createToken', { ...NAMED, scopes: SCOPES }), MAX_DESCRIPTION_BYTES],
  [
    'createAccount',
    encodeRequest('createAccount', { ...NAMED, companyName: text(255) }),
    MAX_DESCRIPTION_BYTES,
  ],
  ['createUserProfile', encodeRequest('createUserProfile', NAMED), MAX_DESCRIPTION_BYTES],
  [
    'createSecret',
    encodeRequest('createSecret', { ...NAMED, payload: PAYLOAD }),
    MAX_DESCRIPTION_BYTES + 2 * 65_536,
  ],
  [
    'updateToken',
    encodeRequest('updateToken', {
      token: { ...FULL, scopes: SCOPES },
      updateMask: ['description', 'version', 'tags', 'annotations', 'manifest_path', 'scopes', 'expires_at'],
    }),
    MAX_DESCRIPTION_BYTES,
  ],
  [
    'listTokens',
    encodeRequest('listTokens', {
      filter: text(2000),
      orderBy: 'x'.repeat(1000),
      pageToken: 'x'.repeat(8192),
    }),
    64 * 1024,
  ],
])('the largest %s is within the limit of its method', (_name, bytes, limit) => {
  // An owner is named with up to two kilobytes.
  expect(bytes.length + 2048).toBeLessThan(limit);
});
