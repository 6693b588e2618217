import { createHash } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import { Undecryptable, type Keyring, type UndecryptableReason } from '../crypto/keyring.js';
import { canonicalToken } from '../crypto/lenient-fernet.js';
import { MAX_PAYLOAD } from '../secret/secret.js';

/** SecretValue is the value of a secret as Keyward is to keep it. It holds no plaintext. */
export interface SecretValue {
  /** What the source holds, or a Fernet token made of it. */
  readonly ciphertext: Buffer;
  /** The key that opens it, or null if none of the keyring does. */
  readonly keyId: string | null;
  /**
   * What tells the source's stored value from another one. Undefined if it is no Fernet token: then it may be a
   * value that was stored as it is, of which not even a digest is kept.
   */
  readonly digest: string | undefined;
  /** What is worth telling about it. */
  readonly findings: readonly { readonly sort: string; readonly what: string }[];
}

const CAUSES: Readonly<Record<UndecryptableReason, string>> = {
  KEY_MISSING: 'no configured key opens its value',
  NO_KEY_FITS: 'no configured key opens its value, or it was damaged',
  MALFORMED: 'its value is no Fernet token',
  DAMAGED: 'its value is damaged',
};

/**
 * readValue finds the key that opens a value as Smarter stored it. What Keyward's strict reader refuses, but
 * Smarter could read, is encrypted anew; everything else is kept to the byte.
 */
export function readValue(stored: Buffer, keyring: Keyring): SecretValue {
  const found = open(stored, keyring);
  if (found.keyId === null) {
    const what = `${CAUSES[found.reason]}: kept as it is, and nobody can access it`;
    const digest = found.reason === 'MALFORMED' ? undefined : sha256(stored);
    return { ciphertext: stored, keyId: null, digest, findings: [{ sort: 'value-undecryptable', what }] };
  }
  const findings = findingsOf(found.plaintext);
  found.plaintext.fill(0);
  if (found.token === stored)
    return { ciphertext: stored, keyId: found.keyId, digest: sha256(stored), findings };
  const { keyId, ciphertext } = keyring.reencrypt(found.token, found.keyId);
  const what = 'its value was not written as Fernet prescribes: it is encrypted anew';
  return {
    ciphertext,
    keyId,
    digest: sha256(stored),
    findings: [{ sort: 'value-rewritten', what }, ...findings],
  };
}

type Opened =
  | { readonly keyId: string; readonly plaintext: Buffer; readonly token: Buffer }
  | { readonly keyId: null; readonly reason: UndecryptableReason };

/** open reads strictly, and then as leniently as Smarter does. */
function open(stored: Buffer, keyring: Keyring): Opened {
  const strict = decrypt(stored, keyring);
  if (strict.keyId !== null || strict.reason !== 'MALFORMED') return strict;
  const token = canonicalToken(stored);
  return token === undefined ? strict : decrypt(token, keyring);
}

function decrypt(token: Buffer, keyring: Keyring): Opened {
  try {
    return { ...keyring.decrypt(token, null), token };
  } catch (error) {
    if (error instanceof Undecryptable) return { keyId: null, reason: error.reason };
    throw error;
  }
}

function findingsOf(plaintext: Buffer): SecretValue['findings'] {
  const { length } = plaintext;
  if (length === 0) return [{ sort: 'value-empty', what: 'its value is empty: kept' }];
  const findings = [];
  if (length > MAX_PAYLOAD) {
    const what = `its value is ${length} bytes long, more than the ${MAX_PAYLOAD} of new ones: kept`;
    findings.push({ sort: 'value-long', what });
  }
  if (!isUtf8(plaintext)) {
    const what = 'its value is no UTF-8 text, as all of Smarter are: kept as it is, and nobody can access it';
    findings.push({ sort: 'value-not-text', what });
  }
  return findings;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
