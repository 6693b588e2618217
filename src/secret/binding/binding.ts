import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Keyring } from '../../crypto/keyring.js';
import type { PayloadFormat } from '../secret.js';

/** Place is where a value belongs: a version of a secret. */
export interface Place {
  readonly secretId: bigint;
  readonly number: number;
}

/** StoredValue is a value as it is stored, without its binding. */
export interface StoredValue {
  readonly format: PayloadFormat;
  /** The key that the ciphertext is under; null if no known key opens it. */
  readonly keyId: string | null;
  readonly ciphertext: Buffer;
}

/** Binding ties a stored value to its place: an HMAC over both, under a key derived from one of the keyring. */
export interface Binding {
  /** The key of the ring that it is made with. It need not be the one that the value is encrypted with. */
  readonly keyId: string;
  readonly mac: Buffer;
}

/** BoundValue is a stored value with its binding; null where a value was stored before there were bindings. */
export interface BoundValue extends StoredValue {
  readonly binding: Binding | null;
}

const PURPOSE = 'secret binding v1';

/** bind makes a value's binding to its place, with the primary key. */
export function bind(keyring: Keyring, place: Place, value: StoredValue): Binding {
  const { keyId, key } = keyring.derive(PURPOSE);
  return { keyId, mac: macOf(key, place, value) };
}

/** isBound tells whether a value is the one that was bound to this place. */
export function isBound(
  keyring: Keyring,
  place: Place,
  value: StoredValue,
  { keyId, mac }: Binding,
): boolean {
  const key = keyring.deriveFrom(keyId, PURPOSE);
  if (key === undefined) return false;
  const expected = macOf(key, place, value);
  return mac.length === expected.length && timingSafeEqual(mac, expected);
}

/** macOf covers a line of JSON, in which nothing is ambiguous and which holds no line break, and then the ciphertext. */
function macOf(key: Buffer, { secretId, number }: Place, { keyId, format, ciphertext }: StoredValue): Buffer {
  const place = JSON.stringify([String(secretId), number, keyId, format]);
  return createHmac('sha256', key).update(`${place}\n`).update(ciphertext).digest();
}
