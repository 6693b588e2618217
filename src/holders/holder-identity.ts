import type { Digest } from '../crypto/digest.js';

/** HolderIdentity is who a client is, and by whose credentials. */
export interface HolderIdentity {
  /** UUID of the client. Another user may name the same: that is another client. */
  readonly clientId: string;
  readonly label: string;
  readonly agent: string;
  readonly userId: bigint;
  /** This and the next are of the caller's token; undefined with a certificate. */
  readonly profileId: bigint | undefined;
  readonly accountId: bigint | undefined;
  readonly digest: Digest | undefined;
}

/** keyOf tells a client from those of all users. */
export function keyOf({ userId, clientId }: HolderIdentity): string {
  return `${userId} ${clientId}`;
}
