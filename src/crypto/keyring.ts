/**
 * `crypto/` holds what is done with keys: digests of tokens, Fernet texts, and the keyring, which encrypts with its first
 * key and reads with any.
 *
 *     const { ciphertext, keyId } = keyring.encrypt(value);
 *     const { plaintext } = keyring.decrypt(ciphertext, keyId);
 */

import type { Clock } from '../lib/clock.js';
import { InvalidToken, type FernetKey, type FernetMessage } from './fernet.js';

/**
 * UndecryptableReason is why a ciphertext cannot be read:
 *
 * - KEY_MISSING: it was made with a key that the ring lacks.
 * - NO_KEY_FITS: nobody knows which key made it, and none of the ring did; or it was altered.
 * - MALFORMED: it is no Fernet token.
 * - DAMAGED: it is not what was once made with its key.
 */
export type UndecryptableReason = 'KEY_MISSING' | 'NO_KEY_FITS' | 'MALFORMED' | 'DAMAGED';

/** Undecryptable tells why, and of which key, and nothing of the content. */
export class Undecryptable extends Error {
  override readonly name = 'Undecryptable';
  readonly reason: UndecryptableReason;
  /** The key that made the ciphertext, as far as known. */
  readonly keyId: string | null;

  constructor(reason: UndecryptableReason, keyId: string | null) {
    super(`the value cannot be decrypted: ${reason}, key ${keyId ?? 'unknown'}`);
    this.reason = reason;
    this.keyId = keyId;
  }
}

/** Encrypted is a Fernet token, as ASCII text, and the key that made it. */
export interface Encrypted {
  readonly keyId: string;
  readonly ciphertext: Buffer;
}

/** Keyring encrypts with its first key, the primary one, and decrypts with any. */
export class Keyring {
  readonly primaryId: string;
  /** The ids of all keys, the primary one first. */
  readonly keyIds: readonly string[];
  readonly #primary: FernetKey;
  readonly #keys: ReadonlyMap<string, FernetKey>;
  /** By key id and purpose: purposes are few, and each is needed again and again. */
  readonly #derived = new Map<string, Buffer>();
  readonly #clock: Clock;

  /** @param keys at least one; a key that comes twice counts once */
  constructor(keys: readonly FernetKey[], clock: Clock) {
    const [primary] = keys;
    if (primary === undefined) throw new Error('a keyring needs a key');
    this.#primary = primary;
    this.#keys = new Map(keys.map((key) => [key.id, key]));
    this.#clock = clock;
    this.primaryId = primary.id;
    this.keyIds = [...this.#keys.keys()];
  }

  has(keyId: string): boolean {
    return this.#keys.has(keyId);
  }

  encrypt(plaintext: Uint8Array): Encrypted {
    const now = BigInt(Math.floor(this.#clock.now() / 1000));
    return { keyId: this.primaryId, ciphertext: this.#primary.encrypt(plaintext, now) };
  }

  /** encryptWith encrypts with a key of the ring that need not be the first: for a platform that has only that one. */
  encryptWith(keyId: string, plaintext: Uint8Array): Buffer {
    const key = this.#keys.get(keyId);
    if (key === undefined) throw new Error(`the keyring has no key ${keyId}`);
    return key.encrypt(plaintext, BigInt(Math.floor(this.#clock.now() / 1000)));
  }

  /**
   * decrypt reads a ciphertext with the key named, or with whichever fits where that is not known.
   *
   * @throws Undecryptable
   */
  decrypt(
    ciphertext: Uint8Array,
    keyId: string | null,
  ): { readonly plaintext: Buffer; readonly keyId: string } {
    const { key, plaintext } = this.#open(ciphertext, keyId);
    return { plaintext, keyId: key.id };
  }

  /**
   * reencrypt makes a ciphertext of the primary key from one of any, with the time at which the value was first
   * encrypted.
   *
   * @throws Undecryptable
   */
  reencrypt(ciphertext: Uint8Array, keyId: string | null): Encrypted {
    const { plaintext, timestamp } = this.#open(ciphertext, keyId);
    return { keyId: this.primaryId, ciphertext: this.#primary.encrypt(plaintext, timestamp) };
  }

  /** derive makes a key of 32 bytes for another purpose from the primary key. Purposes are constants of the program. */
  derive(purpose: string): { readonly keyId: string; readonly key: Buffer } {
    return { keyId: this.primaryId, key: this.#derive(this.#primary, purpose) };
  }

  /** deriveFrom makes the same from any key of the ring; undefined where the ring lacks it. */
  deriveFrom(keyId: string, purpose: string): Buffer | undefined {
    const key = this.#keys.get(keyId);
    return key && this.#derive(key, purpose);
  }

  #derive(key: FernetKey, purpose: string): Buffer {
    const name = `${key.id} ${purpose}`;
    const derived = this.#derived.get(name) ?? key.derive(purpose);
    this.#derived.set(name, derived);
    return derived;
  }

  #open(ciphertext: Uint8Array, keyId: string | null): FernetMessage & { readonly key: FernetKey } {
    if (keyId === null) return this.#openWithAny(ciphertext);
    const key = this.#keys.get(keyId);
    if (key === undefined) throw new Undecryptable('KEY_MISSING', keyId);
    const message = tryToOpen(key, ciphertext, keyId);
    if (message === undefined) throw new Undecryptable('DAMAGED', keyId);
    return { ...message, key };
  }

  #openWithAny(ciphertext: Uint8Array): FernetMessage & { readonly key: FernetKey } {
    for (const key of this.#keys.values()) {
      const message = tryToOpen(key, ciphertext, null);
      if (message !== undefined) return { ...message, key };
    }
    throw new Undecryptable('NO_KEY_FITS', null);
  }
}

/** tryToOpen opens a ciphertext; undefined if it does not carry the signature of this key. */
function tryToOpen(
  key: FernetKey,
  ciphertext: Uint8Array,
  knownKeyId: string | null,
): FernetMessage | undefined {
  try {
    return key.decrypt(ciphertext);
  } catch (error) {
    if (!(error instanceof InvalidToken)) throw error;
    if (error.reason === 'SIGNATURE') return undefined;
    if (error.reason === 'PADDING') throw new Undecryptable('DAMAGED', key.id);
    throw new Undecryptable('MALFORMED', knownKeyId);
  }
}
