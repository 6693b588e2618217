import fc from 'fast-check';
import fernet from 'fernet';
import { expect, test } from 'vitest';
import { FernetKey } from '../../../src/crypto/fernet.js';
import { anyText } from '../../support/arbitrary.js';
import { fernetKey } from '../../support/fernet-vectors.js';

// The package carries text only, refuses an empty one, and keeps time in whole seconds of JavaScript's dates.
const key = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => {
  const text = Buffer.from(bytes).toString('base64url') + '=';
  return { ours: fernetKey(text), theirs: new fernet.Secret(text) };
});
const text = anyText({ minLength: 1, maxLength: 3000 });
const second = fc.integer({ min: 1, max: 4_000_000_000 });

test('the fernet package reads what Keyward writes', () => {
  fc.assert(
    fc.property(key, text, second, ({ ours, theirs }, plaintext, at) => {
      const token = ours.encrypt(Buffer.from(plaintext), BigInt(at)).toString();
      expect(new fernet.Token({ secret: theirs, token, ttl: 0 }).decode()).toBe(plaintext);
    }),
  );
});

test('Keyward reads what the fernet package writes', () => {
  fc.assert(
    fc.property(key, text, second, ({ ours, theirs }, plaintext, at) => {
      const token = new fernet.Token({ secret: theirs, time: new Date(at * 1000) }).encode(plaintext);
      const opened = ours.decrypt(Buffer.from(token));
      expect(opened.plaintext.toString()).toBe(plaintext);
      expect(opened.timestamp).toBe(BigInt(at));
    }),
  );
});

test('the two agree on 64 KiB', () => {
  const keyText = FernetKey.generate();
  const [ours, theirs] = [fernetKey(keyText), new fernet.Secret(keyText)];
  const plaintext = 'v'.repeat(65_536);
  const token = ours.encrypt(Buffer.from(plaintext), 1n).toString();
  expect(new fernet.Token({ secret: theirs, token, ttl: 0 }).decode()).toBe(plaintext);
  const back = new fernet.Token({ secret: theirs, time: new Date(1000) }).encode(plaintext);
  expect(ours.decrypt(Buffer.from(back)).plaintext.toString()).toBe(plaintext);
});
