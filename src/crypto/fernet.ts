import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto';

/** InvalidTokenReason is the first thing that is wrong with a text offered as a Fernet token. */
export type InvalidTokenReason = 'ENCODING' | 'VERSION' | 'LENGTH' | 'AGE' | 'SIGNATURE' | 'PADDING';

/** InvalidToken tells what is wrong with a token, and nothing of its content. */
export class InvalidToken extends Error {
  override readonly name = 'InvalidToken';
  readonly reason: InvalidTokenReason;

  constructor(reason: InvalidTokenReason) {
    super(`not a valid Fernet token: ${reason}`);
    this.reason = reason;
  }
}

/** Age is the oldest that a token may be, and when that is asked, both in whole seconds. */
export interface Age {
  readonly ttl: bigint;
  /** Seconds since 1970. A token may be up to 60 seconds ahead, for clocks that differ. */
  readonly now: bigint;
}

/** FernetMessage is what a token holds. */
export interface FernetMessage {
  /** In memory of its own. What Node shares among small buffers would stay for as long as any of them. */
  readonly plaintext: Buffer;
  /** Seconds since 1970 at which the plaintext was encrypted, unsigned 64-bit. */
  readonly timestamp: bigint;
}

// Version ‖ Timestamp ‖ IV ‖ Ciphertext ‖ HMAC
const VERSION = 0x80;
const TIMESTAMP_OFFSET = 1;
const IV_OFFSET = 9;
const CIPHERTEXT_OFFSET = 25;
const BLOCK_BYTES = 16;
const HMAC_BYTES = 32;
const CIPHER = 'aes-128-cbc';

const KEY_BYTES = 32;
const SIGNING_KEY_BYTES = 16;
const KEY_ID_BYTES = 8;
const MAX_CLOCK_SKEW_SECONDS = 60n;

/**
 * FernetKey encrypts and decrypts by the Fernet specification (github.com/fernet/spec, version 0x80), to the
 * letter: a token that another writer could have spelt differently is refused. Printing a key shows nothing of it.
 */
export class FernetKey {
  /** The first 8 bytes of the SHA-256 of the key's 32 bytes, in hex: tells keys apart and gives none away. */
  readonly id: string;
  readonly #signingKey: KeyObject;
  readonly #encryptionKey: KeyObject;
  readonly #wholeKey: KeyObject;

  /** @param bytes the 32 bytes of the key; the 16 that sign come before the 16 that encrypt */
  private constructor(bytes: Buffer) {
    this.id = createHash('sha256').update(bytes).digest().toString('hex', 0, KEY_ID_BYTES);
    this.#wholeKey = createSecretKey(bytes);
    this.#signingKey = createSecretKey(bytes.subarray(0, SIGNING_KEY_BYTES));
    this.#encryptionKey = createSecretKey(bytes.subarray(SIGNING_KEY_BYTES));
  }

  /**
   * parse reads a key: base64 of 32 bytes with its padding, undefined for anything else. White space, the standard
   * alphabet and unused bits are taken as Python's `cryptography` takes them, whose keys these may be.
   */
  static parse(text: string): FernetKey | undefined {
    const compact = text.replaceAll(/\s/g, '');
    return /^[A-Za-z0-9+/_-]{43}=$/.test(compact) ? new FernetKey(Buffer.from(compact, 'base64')) : undefined;
  }

  /** generate is the text of a new key. */
  static generate(): string {
    return encode(randomBytes(KEY_BYTES));
  }

  /**
   * encrypt makes a token, as ASCII text.
   *
   * @param timestamp seconds since 1970, unsigned 64-bit
   * @param iv 16 bytes that are used for one token only
   */
  encrypt(plaintext: Uint8Array, timestamp: bigint, iv: Uint8Array = randomBytes(BLOCK_BYTES)): Buffer {
    const cipher = createCipheriv(CIPHER, this.#encryptionKey, iv);
    const header = Buffer.allocUnsafe(CIPHERTEXT_OFFSET);
    header[0] = VERSION;
    header.writeBigUInt64BE(timestamp, TIMESTAMP_OFFSET);
    header.set(iv, IV_OFFSET);
    const signed = Buffer.concat([header, cipher.update(plaintext), cipher.final()]);
    return Buffer.from(encode(Buffer.concat([signed, this.#sign(signed)])), 'latin1');
  }

  /**
   * decrypt opens a token given as ASCII text.
   *
   * @throws InvalidToken
   */
  decrypt(token: Uint8Array, age?: Age): FernetMessage {
    const bytes = decode(token);
    if (bytes === undefined) throw new InvalidToken('ENCODING');
    if (bytes[0] !== VERSION) throw new InvalidToken('VERSION');
    const signedBytes = bytes.length - HMAC_BYTES;
    const ciphertextBytes = signedBytes - CIPHERTEXT_OFFSET;
    if (ciphertextBytes < BLOCK_BYTES || ciphertextBytes % BLOCK_BYTES !== 0)
      throw new InvalidToken('LENGTH');

    const timestamp = bytes.readBigUInt64BE(TIMESTAMP_OFFSET);
    if (age !== undefined && !isOfAge(timestamp, age)) throw new InvalidToken('AGE');
    const signed = bytes.subarray(0, signedBytes);
    if (!timingSafeEqual(this.#sign(signed), bytes.subarray(signedBytes)))
      throw new InvalidToken('SIGNATURE');
    return {
      plaintext: this.#open(
        signed.subarray(IV_OFFSET, CIPHERTEXT_OFFSET),
        signed.subarray(CIPHERTEXT_OFFSET),
      ),
      timestamp,
    };
  }

  /** derive makes a key of 32 bytes for another purpose, by HKDF-SHA256: from it nobody learns this key. */
  derive(purpose: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#wholeKey, '', `keyward ${purpose}`, KEY_BYTES));
  }

  #sign(signed: Uint8Array): Buffer {
    return createHmac('sha256', this.#signingKey).update(signed).digest();
  }

  #open(iv: Uint8Array, ciphertext: Uint8Array): Buffer {
    const decipher = createDecipheriv(CIPHER, this.#encryptionKey, iv);
    const start = decipher.update(ciphertext);
    try {
      const end = decipher.final();
      const plaintext = Buffer.allocUnsafeSlow(start.length + end.length);
      plaintext.set(start);
      plaintext.set(end, start.length);
      return plaintext;
    } catch {
      // Whole blocks with a good signature: only the padding is left to be wrong.
      throw new InvalidToken('PADDING');
    }
  }
}

function isOfAge(timestamp: bigint, { ttl, now }: Age): boolean {
  return timestamp + ttl >= now && timestamp <= now + MAX_CLOCK_SKEW_SECONDS;
}

/** encode writes URL-safe base64 with its padding. */
export function encode(bytes: Buffer): string {
  const text = bytes.toString('base64url');
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

/** decode reads the one spelling that `encode` writes, undefined for any other. */
function decode(token: Uint8Array): Buffer | undefined {
  const text = Buffer.from(token.buffer, token.byteOffset, token.byteLength).toString('latin1');
  const bytes = Buffer.from(text, 'base64url');
  return encode(bytes) === text ? bytes : undefined;
}
