import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FernetKey } from '../../../src/crypto/fernet.js';
import { fernetKey } from '../../support/fernet-vectors.js';
import { hasPythonCryptography, pythonDecrypts, pythonEncrypts } from '../../support/python-fernet.js';

const available = hasPythonCryptography();
if (!available) {
  console.warn("NOT TESTED: Fernet against Python's cryptography (no python3 here in which it is installed)");
}

const samples = fc.sample(
  fc.record({
    plaintext: fc
      .oneof(
        { arbitrary: fc.uint8Array({ maxLength: 100 }), weight: 9 },
        { arbitrary: fc.integer({ min: 0, max: 65_536 }).map(repeated), weight: 1 },
      )
      .map((bytes) => Buffer.from(bytes)),
    timestamp: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  }),
  100,
);
const values = [
  ...samples,
  { plaintext: Buffer.alloc(65_536, 7), timestamp: 1 },
  { plaintext: Buffer.of(), timestamp: 1 },
].map((value) => ({ ...value, key: FernetKey.generate() }));

function repeated(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => at % 251);
}

describe.skipIf(!available)("Python's cryptography", () => {
  test('reads what Keyward writes', () => {
    const tokens = values.map(({ key, plaintext, timestamp }) => ({
      key,
      token: fernetKey(key).encrypt(plaintext, BigInt(timestamp)),
    }));
    expect(pythonDecrypts(tokens)).toEqual(values.map(({ plaintext }) => plaintext));
  });

  test('writes what Keyward reads', () => {
    const opened = pythonEncrypts(values).map((token, at) => fernetKey(values[at]?.key ?? '').decrypt(token));
    expect(opened).toEqual(
      values.map(({ plaintext, timestamp }) => ({ plaintext, timestamp: BigInt(timestamp) })),
    );
  });
});
