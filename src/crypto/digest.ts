import { hash } from 'node:crypto';

/**
 * Digest is a SHA-512 as a string of 64 characters, one for each byte ("latin1"): half the memory of
 * hexadecimal, and a ready key for a map.
 */
export type Digest = string;

/** digestOf is the digest of a plaintext: of its UTF-8 bytes, prefix included, exactly as given. */
export function digestOf(plaintext: string | Uint8Array): Digest {
  return hash('sha512', plaintext, 'binary');
}

export function digestBytes(digest: Digest): Buffer {
  return Buffer.from(digest, 'latin1');
}

export function digestFromBytes(bytes: Buffer): Digest {
  return bytes.toString('latin1');
}

export function digestHex(digest: Digest): string {
  return digestBytes(digest).toString('hex');
}
