import { expect, test } from 'vitest';
import { Account, UserProfile } from '../../../src/gen/keyward/account/v1/account.js';
import { Secret } from '../../../src/gen/keyward/secret/v1/secret.js';
import { Token } from '../../../src/gen/keyward/token/v1/token.js';
import {
  ACCOUNT_FIELDS,
  USER_PROFILE_FIELDS,
  type AccountSettings,
  type UserProfileSettings,
} from '../../../src/account/account.js';
import { bytesOf, checkFields, protoName, type Fields } from '../../../src/lib/fields.js';
import { MAX_INSTANT } from '../../../src/lib/instant.js';
import { MAX_PAGE } from '../../../src/lib/page-size.js';
import { MAX_DESCRIPTION_BYTES } from '../../../src/lib/resource-rules.js';
import { checked } from '../../../src/lib/violations.js';
import { toFields } from '../../../src/rpc/field-messages.js';
import { SECRET_FIELDS, type SecretSettings } from '../../../src/secret/secret.js';
import { TOKEN_FIELDS, type TokenSettings } from '../../../src/token/token.js';
import { encodeRequest } from '../../support/rpc.js';

/** A character that takes four bytes. */
const WIDE = '🔑';
const text = (length: number, first = ''): string => first + WIDE.repeat(length - first.length);

/** Resources with all that they may have, each text as long as it may be. */
const NAMED: UserProfileSettings = {
  name: 'x'.repeat(255),
  description: text(10_000),
  version: `1.0.0-${'x'.repeat(249)}`,
  tags: Array.from({ length: 64 }, (_, index) => text(100, String(index))),
  annotations: new Map(Array.from({ length: 64 }, (_, index) => [text(253, String(index)), text(4096)])),
  manifestPath: text(1024),
};
const ACCOUNT: AccountSettings = { ...NAMED, companyName: text(255), isActive: true };
const SECRET: SecretSettings = { ...NAMED, expiresAt: MAX_INSTANT };
const TOKEN: TokenSettings = {
  ...SECRET,
  scopes: Array.from({ length: 64 }, (_, index) => String(index).padEnd(128, 'x')),
  isActive: true,
  prefix: 'x'.repeat(10),
};
const TABLES = [
  ['token', TOKEN_FIELDS, TOKEN, Token.encode(Token.fromPartial(toFields(TOKEN_FIELDS, TOKEN)))],
  ['secret', SECRET_FIELDS, SECRET, Secret.encode(Secret.fromPartial(toFields(SECRET_FIELDS, SECRET)))],
  [
    'account',
    ACCOUNT_FIELDS,
    ACCOUNT,
    Account.encode(Account.fromPartial(toFields(ACCOUNT_FIELDS, ACCOUNT))),
  ],
  [
    'user profile',
    USER_PROFILE_FIELDS,
    NAMED,
    UserProfile.encode(UserProfile.fromPartial(toFields(USER_PROFILE_FIELDS, NAMED))),
  ],
] as const;
/** Ids, times, owner and names, as long as they may be. */
const OTHERS = 8 * 1024;

test('the largest resource is allowed, and is what the limits are held against', () => {
  for (const [, fields, settings] of TABLES)
    expect(() => checked((v) => checkFields<Fields>(v, '', fields, { ...settings }, 0n))).not.toThrow();
});

test.each(TABLES)(
  'one %s always fits into a message, and is reckoned to take all that it does',
  (_kind, fields, settings, message) => {
    const bytes = message.finish().length;
    expect(bytes + OTHERS).toBeLessThan(MAX_PAGE);
    // Of those characters that take more than three bytes each takes two places in a string.
    expect(bytesOf(fields, settings)).toBeGreaterThan(bytes);
  },
);

const PAYLOAD = { value: { $case: 'data', value: Buffer.alloc(65_536) } } as const;

test.each([
  ['createToken', encodeRequest('createToken', toFields(TOKEN_FIELDS, TOKEN)), MAX_DESCRIPTION_BYTES],
  ['createAccount', encodeRequest('createAccount', toFields(ACCOUNT_FIELDS, ACCOUNT)), MAX_DESCRIPTION_BYTES],
  [
    'createUserProfile',
    encodeRequest('createUserProfile', toFields(USER_PROFILE_FIELDS, NAMED)),
    MAX_DESCRIPTION_BYTES,
  ],
  [
    'createSecret',
    encodeRequest('createSecret', { ...toFields(SECRET_FIELDS, SECRET), payload: PAYLOAD }),
    MAX_DESCRIPTION_BYTES + 2 * 65_536,
  ],
  [
    'updateToken',
    encodeRequest('updateToken', {
      token: toFields(TOKEN_FIELDS, TOKEN),
      updateMask: Object.keys(TOKEN_FIELDS).map(protoName),
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
