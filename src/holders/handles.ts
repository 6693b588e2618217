import { createHmac } from 'node:crypto';
import { digestBytes, type Digest } from '../crypto/digest.js';

/**
 * Handle names a text between a client and whichever replica: 64 bits that nobody finds the text or its digest by. It is
 * the same at all replicas while the epoch is, so no secret has to be shared for it.
 */
export type Handle = bigint;

/** handleOf is never 0, which stands for none. Two texts may share one: then both are forgotten. */
export function handleOf(epoch: string, digest: Digest): Handle {
  const mac = createHmac('sha256', epoch).update(digestBytes(digest)).digest();
  return mac.readBigUInt64LE() || 1n;
}

/** hashOfId is what a replica keeps of an id. Two ids may share one: then the clients of both are told. */
export function hashOfId(id: bigint): number {
  const low = Number(BigInt.asIntN(32, id));
  const high = Number(BigInt.asIntN(32, id >> 32n));
  return (low ^ Math.imul(high, 0x9e3779b1)) | 0;
}
