import { createHash, hash, randomBytes } from 'node:crypto';

/** The longest text that may be a token, in UTF-8. */
const MAX_BYTES = 1024;
const HALF_A_CHARACTER = /\p{Surrogate}/u;

/** canBeToken tells whether a text may be one at all: over 1 KiB, or what is no Unicode, none is. */
export function canBeToken(text: string): boolean {
  const isShort = text.length * 3 <= MAX_BYTES || Buffer.byteLength(text) <= MAX_BYTES;
  return isShort && !HALF_A_CHARACTER.test(text);
}

/** digestOf is what the service knows a text by. */
export function digestOf(text: string): Buffer {
  return createHash('sha512').update(text).digest();
}

/** TextKeys makes the keys of one memory, so that what it holds matches nothing that others hold. */
export class TextKeys {
  readonly #salt = randomBytes(16).toString('hex');

  of(text: string): string {
    return hash('sha256', this.#salt + text, 'base64');
  }
}
