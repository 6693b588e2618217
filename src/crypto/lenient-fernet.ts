import { encode } from './fernet.js';

const LETTER = /^[A-Za-z0-9+/_-]$/;

/**
 * canonicalToken spells a Fernet token anew that was written carelessly: it reads base64 as Python's does, on which
 * Python's `cryptography` relies. Characters outside both base64 alphabets are skipped; what follows complete
 * padding, and unused bits, are ignored. Undefined for what Python cannot read either; whether the result is a
 * token is for a key to tell. It is for data made elsewhere: Keyward itself writes and reads one spelling.
 */
export function canonicalToken(text: Uint8Array): Buffer | undefined {
  let letters = '';
  let pads = 0;
  for (const character of Buffer.from(text).toString('latin1')) {
    const used = letters.length % 4;
    if (LETTER.test(character)) {
      letters += character;
      pads = 0;
    } else if (character === '=' && used >= 2) {
      pads += 1;
      if (used + pads === 4) return canonical(letters);
    }
  }
  return letters.length % 4 === 0 ? canonical(letters) : undefined;
}

function canonical(letters: string): Buffer {
  return Buffer.from(encode(Buffer.from(letters, 'base64')), 'latin1');
}
