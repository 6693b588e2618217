import type { ChangedResource } from '../authz/change-audience.js';
import type { Instant } from '../lib/instant.js';

/** Change is what a transaction did to one resource. */
export interface Change extends ChangedResource {
  /** 'truncated': all of the kind were deleted at once; there is no id then. */
  readonly op: 'created' | 'updated' | 'deleted' | 'truncated';
  /** Of a token. */
  readonly keyId: string | undefined;
  /** User profiles to whom a secret was granted, or for whom that was changed or ended. */
  readonly granteeIds: readonly bigint[];
}

/** Revision is what one transaction changed; one of more than 10,000 changes has several, all visible at once. */
export interface Revision {
  readonly revision: bigint;
  readonly committedAt: Instant;
  /** In the order in which they began; a resource is there once. Empty where a transaction changed nothing. */
  readonly changes: readonly Change[];
}
