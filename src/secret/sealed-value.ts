import { Undecryptable, type Keyring } from '../crypto/keyring.js';
import { KeywardError } from '../lib/errors.js';
import { bind, isBound, type Binding, type BoundValue, type Place } from './binding/binding.js';
import { isPayloadIntact, type Payload } from './secret.js';

/** SealedValue is a value as it is stored from now on: encrypted and bound to its place. */
export interface SealedValue extends BoundValue {
  readonly binding: Binding;
}

/** Unbound says what becomes of values without a binding: `trusted` while the old ones are being bound, and never again. */
export type Unbound = 'trusted' | 'misplaced';

/** sealValue encrypts a value and binds it to its place. */
export function sealValue(keyring: Keyring, place: Place, { format, bytes }: Payload): SealedValue {
  const value = { format, ...keyring.encrypt(bytes) };
  return { ...value, binding: bind(keyring, place, value) };
}

/**
 * openValue decrypts a value that stands in its place. SECRET_MISPLACED if it does not belong there, whatever it is.
 * SECRET_UNDECRYPTABLE names the key and the cause, and nothing of the content.
 */
export function openValue(keyring: Keyring, place: Place, value: BoundValue, unbound: Unbound): Payload {
  if (!isInPlace(keyring, place, value, unbound)) {
    throw new KeywardError(
      'SECRET_MISPLACED',
      'The stored value does not belong to this version of the secret.',
    );
  }
  const { plaintext, keyId } = decrypt(keyring, value.ciphertext, value.keyId);
  const payload: Payload = { format: value.format, bytes: plaintext };
  if (!isPayloadIntact(payload)) throw undecryptable(keyId, 'NOT_UTF8');
  return payload;
}

/** isInPlace tells whether a value was bound to the place where it stands. */
export function isInPlace(keyring: Keyring, place: Place, value: BoundValue, unbound: Unbound): boolean {
  return value.binding === null ? unbound === 'trusted' : isBound(keyring, place, value, value.binding);
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
