import { describe, expect, test } from 'vitest';
import { Keyring } from '../../../src/crypto/keyring.js';
import { systemClock } from '../../../src/lib/clock.js';
import { readValue } from '../../../src/smarter/secret-value.js';
import { FERNET_VECTORS, fernetKey } from '../../support/fernet-vectors.js';

const STRANGER = fernetKey('QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=');

function ringOf(...keys: readonly string[]): Keyring {
  return new Keyring([STRANGER, ...keys.map(fernetKey)], systemClock);
}

describe('what the original reads is readable', () => {
  test.each(FERNET_VECTORS.valid)('to the byte where it is well written: $name', ({ key, token }) => {
    const value = readValue(Buffer.from(token), ringOf(key));
    expect(value.ciphertext.toString()).toBe(token);
    expect(value.keyId).toBe(fernetKey(key).id);
  });

  test.each(FERNET_VECTORS.lenient_accepted)(
    'encrypted anew where it is not: $name',
    ({ key, token, plaintext_b64: plaintext }) => {
      const ring = ringOf(key);
      const value = readValue(Buffer.from(token), ring);
      expect(value.keyId).toBe(STRANGER.id);
      expect(ring.decrypt(value.ciphertext, value.keyId).plaintext.toString('base64')).toBe(plaintext);
      expect(value.findings.map(({ sort }) => sort)).toContain('value-rewritten');
    },
  );
});

describe('what the original refuses is kept, and reported', () => {
  test.each(FERNET_VECTORS.invalid)('$name', ({ key, token }) => {
    const value = readValue(Buffer.from(token), ringOf(key));
    expect(value.ciphertext.toString()).toBe(token);
    expect(value.keyId).toBeNull();
    expect(value.findings.map(({ sort }) => sort)).toEqual(['value-undecryptable']);
  });
});
