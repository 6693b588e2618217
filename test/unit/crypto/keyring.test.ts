import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { FernetKey } from '../../../src/crypto/fernet.js';
import { Keyring, Undecryptable } from '../../../src/crypto/keyring.js';
import { fernetKey, FERNET_VECTORS } from '../../support/fernet-vectors.js';
import { ManualClock } from '../../support/manual-clock.js';

const NOW_SECONDS = 1_700_000_000;
const clock = new ManualClock(NOW_SECONDS * 1000 + 999);
const VALUE = Buffer.from('a value');

function newKey(): FernetKey {
  return fernetKey(FernetKey.generate());
}

function ring(...keys: FernetKey[]): Keyring {
  return new Keyring(keys, clock);
}

function failure(decrypt: () => unknown): Undecryptable {
  try {
    decrypt();
  } catch (error) {
    if (error instanceof Undecryptable) return error;
    throw error;
  }
  throw new Error('it was decrypted');
}

function altered(ciphertext: Buffer): Buffer {
  const copy = Buffer.from(ciphertext);
  copy[50] = copy[50] === 'A'.charCodeAt(0) ? 'B'.charCodeAt(0) : 'A'.charCodeAt(0);
  return copy;
}

test.each(FERNET_VECTORS.multi_key)('$name: one of the keys reads it: $valid', (vector) => {
  const keyring = ring(...vector.keys.map(fernetKey));
  const open = () => keyring.decrypt(Buffer.from(vector.token), null);
  if (vector.valid) expect(open().plaintext.toString('base64')).toBe(vector.plaintext_b64);
  else expect(failure(open).reason).toBe('NO_KEY_FITS');
});

test('the first key encrypts, at the present second, and every key decrypts', () => {
  const [first, second] = [newKey(), newKey()];
  const keyring = ring(first, second);
  const made = keyring.encrypt(VALUE);
  expect(made.keyId).toBe(first.id);
  expect(first.decrypt(made.ciphertext)).toEqual({ plaintext: VALUE, timestamp: BigInt(NOW_SECONDS) });

  const older = second.encrypt(VALUE, 5n);
  expect(keyring.decrypt(older, second.id)).toEqual({ plaintext: VALUE, keyId: second.id });
  expect(keyring.decrypt(older, null)).toEqual({ plaintext: VALUE, keyId: second.id });
});

test('reencryption is with the first key, and keeps the time of the first encryption', () => {
  const [first, second] = [newKey(), newKey()];
  const keyring = ring(first, second);
  for (const knownKeyId of [second.id, null]) {
    const { keyId, ciphertext } = keyring.reencrypt(second.encrypt(VALUE, 5n), knownKeyId);
    expect(keyId).toBe(first.id);
    expect(first.decrypt(ciphertext)).toEqual({ plaintext: VALUE, timestamp: 5n });
  }
});

test('a key that comes twice counts once', () => {
  const [first, second] = [newKey(), newKey()];
  expect(ring(first, second, first).keyIds).toEqual([first.id, second.id]);
});

describe('what cannot be decrypted', () => {
  const [key, other] = [newKey(), newKey()];
  const keyring = ring(key);
  const ciphertext = key.encrypt(VALUE, 1n);

  test('is KEY_MISSING where its key is not in the ring', () => {
    expect(failure(() => keyring.decrypt(ciphertext, other.id))).toMatchObject({
      reason: 'KEY_MISSING',
      keyId: other.id,
    });
  });

  test('is NO_KEY_FITS where its key is unknown and no key fits', () => {
    expect(failure(() => keyring.decrypt(other.encrypt(VALUE, 1n), null))).toMatchObject({
      reason: 'NO_KEY_FITS',
      keyId: null,
    });
  });

  test('is DAMAGED where it is not what its key made', () => {
    const damaged = { reason: 'DAMAGED', keyId: key.id };
    expect(failure(() => keyring.decrypt(altered(ciphertext), key.id))).toMatchObject(damaged);
    const badPadding = FERNET_VECTORS.invalid.filter(({ name }) => name.startsWith('good_hmac_bad_padding'));
    expect(badPadding).toHaveLength(2);
    for (const vector of badPadding) {
      const signer = fernetKey(vector.key);
      for (const known of [null, signer.id]) {
        const open = () => ring(signer).reencrypt(Buffer.from(vector.token), known);
        expect(failure(open)).toMatchObject({ reason: 'DAMAGED', keyId: signer.id });
      }
    }
  });

  test('is MALFORMED where it is no token', () => {
    for (const known of [null, key.id]) {
      expect(failure(() => keyring.decrypt(Buffer.from('no token'), known))).toMatchObject({
        reason: 'MALFORMED',
        keyId: known,
      });
    }
  });

  test('is told without the value, the ciphertext or a key', () => {
    const error = failure(() => keyring.decrypt(altered(ciphertext), key.id));
    const printed = inspect(error, { depth: 9, showHidden: true }) + inspect(keyring, { depth: 9 });
    for (const text of [VALUE.toString(), ciphertext.toString().slice(60)]) {
      expect(printed).not.toContain(text);
    }
  });
});

test('derived keys differ by key and by purpose, stay the same, and are not the key itself', () => {
  const [first, second] = [newKey(), newKey()];
  const keyring = ring(first, second);
  const { keyId, key } = keyring.derive('audit');
  expect(keyId).toBe(first.id);
  expect(key).toHaveLength(32);
  expect(ring(second, first).deriveFrom(first.id, 'audit')).toEqual(key);
  expect(keyring.deriveFrom(second.id, 'audit')).not.toEqual(key);
  expect(keyring.deriveFrom(first.id, 'another purpose')).not.toEqual(key);
  expect(keyring.deriveFrom('0123456789abcdef', 'audit')).toBeUndefined();
});
