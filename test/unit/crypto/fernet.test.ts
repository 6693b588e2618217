import { inspect } from 'node:util';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FernetKey, InvalidToken, type InvalidTokenReason } from '../../../src/crypto/fernet.js';
import { canonicalToken } from '../../../src/crypto/lenient-fernet.js';
import { fernetKey, FERNET_SPECIFICATION, FERNET_VECTORS } from '../../support/fernet-vectors.js';

const KEY_TEXT = 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=';
const KEY = fernetKey(KEY_TEXT);
const MAX_VALUE = 65_536;
const MAX_TIMESTAMP = 2n ** 64n - 1n;

function base64(bytes: Buffer): string {
  return bytes.toString('base64');
}

function seconds(time: string): bigint {
  return BigInt(Date.parse(time) / 1000);
}

/** refusal is why a key does not open a token. */
function refusal(open: () => unknown): InvalidTokenReason {
  try {
    open();
  } catch (error) {
    if (error instanceof InvalidToken) return error.reason;
    throw error;
  }
  throw new Error('the token was accepted');
}

describe('the vectors of the Fernet specification', () => {
  test.each(FERNET_SPECIFICATION.generate)('"$src" becomes the token published', (vector) => {
    const iv = Uint8Array.from(vector.iv);
    const token = fernetKey(vector.secret).encrypt(Buffer.from(vector.src), seconds(vector.now), iv);
    expect(token.toString()).toBe(vector.token);
  });

  test.each(FERNET_SPECIFICATION.verify)('the token published is read as "$src"', (vector) => {
    const age = { ttl: BigInt(vector.ttl_sec), now: seconds(vector.now) };
    const { plaintext } = fernetKey(vector.secret).decrypt(Buffer.from(vector.token), age);
    expect(plaintext.toString()).toBe(vector.src);
  });

  const REASONS: Readonly<Record<string, InvalidTokenReason>> = {
    'incorrect mac': 'SIGNATURE',
    'too short': 'LENGTH',
    'invalid base64': 'ENCODING',
    'payload size not multiple of block size': 'LENGTH',
    'payload padding error': 'PADDING',
    'far-future TS (unacceptable clock skew)': 'AGE',
    'expired TTL': 'AGE',
    'incorrect IV (causes padding error)': 'PADDING',
    'trailing characters after b64 padding': 'ENCODING',
    'invalid characters in b64': 'ENCODING',
    'invalid non-urlsafe characters in b64': 'ENCODING',
  };

  test.each(FERNET_SPECIFICATION.invalid)('refused, for the reason stated: $desc', (vector) => {
    const age = { ttl: BigInt(vector.ttl_sec), now: seconds(vector.now) };
    expect(refusal(() => fernetKey(vector.secret).decrypt(Buffer.from(vector.token), age))).toBe(
      REASONS[vector.desc],
    );
  });
});

describe("tokens recorded from Python's cryptography", () => {
  test.each(FERNET_VECTORS.valid)(
    '$name is read, with its time, and written again byte for byte',
    (vector) => {
      const key = fernetKey(vector.key);
      const { plaintext, timestamp } = key.decrypt(Buffer.from(vector.token));
      expect(base64(plaintext)).toBe(vector.plaintext_b64);
      expect(timestamp).toBe(BigInt(vector.timestamp_text));
      expect(key.encrypt(plaintext, timestamp, Buffer.from(vector.iv_hex, 'hex')).toString()).toBe(
        vector.token,
      );
    },
  );

  test.each(FERNET_VECTORS.invalid)(
    '$name is refused, and careful spelling does not make it a token',
    (vector) => {
      const key = fernetKey(vector.key);
      const token = Buffer.from(vector.token);
      refusal(() => key.decrypt(token));
      const respelt = canonicalToken(token);
      if (respelt !== undefined) refusal(() => key.decrypt(respelt));
    },
  );

  test.each(FERNET_VECTORS.lenient_accepted)(
    '$name is refused, and read once it is spelt canonically',
    (vector) => {
      const key = fernetKey(vector.key);
      const token = Buffer.from(vector.token);
      refusal(() => key.decrypt(token));
      const { plaintext } = key.decrypt(canonicalToken(token) ?? Buffer.of());
      expect(base64(plaintext)).toBe(vector.plaintext_b64);
    },
  );

  test.each(FERNET_VECTORS.ttl)('$name: accepted is $valid', (vector) => {
    const age = { ttl: BigInt(vector.ttl_seconds), now: BigInt(vector.now) };
    const open = () => fernetKey(vector.key).decrypt(Buffer.from(vector.token), age);
    if (vector.valid) expect(base64(open().plaintext)).toBe(vector.plaintext_b64);
    else expect(refusal(open)).toBe('AGE');
  });

  test.each(FERNET_VECTORS.keys_check)('the key $name: accepted is $accepted', ({ key, accepted }) => {
    expect(FernetKey.parse(key) !== undefined).toBe(accepted);
  });
});

test('what is encrypted is decrypted, with its time, for every length up to 64 KiB', () => {
  const lengths = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: MAX_VALUE }));
  fc.assert(
    fc.property(lengths, fc.integer({ max: 255 }), fc.bigInt(0n, MAX_TIMESTAMP), (length, fill, time) => {
      const plaintext = Buffer.alloc(length, fill);
      const opened = KEY.decrypt(KEY.encrypt(plaintext, time));
      expect(opened.plaintext.equals(plaintext)).toBe(true);
      expect(opened.timestamp).toBe(time);
    }),
  );
});

test('what is decrypted lies in memory of its own, which no other buffer keeps', () => {
  for (const value of ['', 'x', 'a value of more than one block']) {
    const { plaintext } = KEY.decrypt(KEY.encrypt(Buffer.from(value), 1n));
    expect(plaintext.buffer.byteLength).toBe(value.length);
  }
});

test('no other text is read than the one written: not with a single character changed, added or left out', () => {
  const token = KEY.encrypt(Buffer.from('value'), 1n);
  for (let at = 0; at < token.length; at += 1) {
    for (const character of ['A', '=', '-', '+', ' ', '\n', '~']) {
      const replaced = Buffer.from(token);
      replaced[at] = character.charCodeAt(0);
      if (!replaced.equals(token)) refusal(() => KEY.decrypt(replaced));
      const inserted = Buffer.concat([token.subarray(0, at), Buffer.from(character), token.subarray(at)]);
      refusal(() => KEY.decrypt(inserted));
    }
    refusal(() => KEY.decrypt(Buffer.concat([token.subarray(0, at), token.subarray(at + 1)])));
  }
});

test('the same value is never encrypted to the same token', () => {
  const tokens = Array.from({ length: 100 }, () => KEY.encrypt(Buffer.from('value'), 1n).toString());
  expect(new Set(tokens).size).toBe(tokens.length);
});

test('canonical spelling leaves a token as it is', () => {
  for (const { token } of FERNET_VECTORS.valid) {
    expect(canonicalToken(Buffer.from(token))?.toString()).toBe(token);
  }
});

test('a key is told by the first 8 bytes of its SHA-256, however it is written', () => {
  const id = createHash('sha256').update(Buffer.from(KEY_TEXT, 'base64url')).digest('hex').slice(0, 16);
  const spellings = [KEY_TEXT, ` ${KEY_TEXT}\n`, KEY_TEXT.replaceAll('-', '+').replaceAll('_', '/')];
  expect(spellings.map((text) => fernetKey(text).id)).toEqual([id, id, id]);
});

test('generated keys are keys, and each is another', () => {
  const keys = Array.from({ length: 10 }, () => FernetKey.generate());
  expect(new Set(keys.map((text) => fernetKey(text).id)).size).toBe(keys.length);
});

test('printing a key or an error shows nothing of the key or the token', () => {
  const token = KEY.encrypt(Buffer.from('value'), 1n).toString();
  const other = fernetKey(FernetKey.generate());
  const raw = Buffer.from(KEY_TEXT, 'base64url');
  let error: unknown;
  try {
    other.decrypt(Buffer.from(token));
  } catch (thrown) {
    error = thrown;
  }
  const printed = [KEY, error].map((value) => inspect(value, { depth: 9, showHidden: true })).join('\n');
  for (const text of [KEY_TEXT, token, raw.toString('hex'), raw.toString('hex').slice(0, 32)]) {
    expect(printed + JSON.stringify(KEY)).not.toContain(text);
  }
});
