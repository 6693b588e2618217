import { Undecryptable, type Keyring } from '../crypto/keyring.js';
import { KeywardError } from '../lib/errors.js';
import { isPayloadIntact, type Payload, type PayloadFormat } from './secret.js';

/** openValue decrypts a value. SECRET_UNDECRYPTABLE names the key and the cause, and nothing of the content. */
export function openValue(
  keyring: Keyring,
  value: { readonly format: PayloadFormat; readonly keyId: string | null; readonly ciphertext: Buffer },
): Payload {
  const { plaintext, keyId } = decrypt(keyring, value.ciphertext, value.keyId);
  const payload: Payload = { format: value.format, bytes: plaintext };
  if (!isPayloadIntact(payload)) throw undecryptable(keyId, 'NOT_UTF8');
  return payload;
}

function decrypt(keyring: Keyring, ciphertext: Buffer, keyId: string | null): ReturnType<Keyring['decrypt']> {
  try {
    return keyring.decrypt(ciphertext, keyId);
  } catch (error) {
    throw error instanceof Undecryptable ? undecryptable(error.keyId, error.reason) : error;
  }
}

function undecryptable(keyId: string | null, cause: string): KeywardError {
  return new KeywardError('SECRET_UNDECRYPTABLE', 'The value of this secret cannot be decrypted.', {
    metadata: { key_id: keyId ?? '', cause },
  });
}
