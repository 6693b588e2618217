import type { Owner } from '../authz/owner.js';
import { etagOf } from '../lib/etag.js';
import type { Instant } from '../lib/instant.js';
import { hashedId, recordLocator, type ResourceKind } from '../lib/public-id.js';
import { rfc1034Name } from '../lib/text.js';
import { toTimestamp } from './timestamp.js';

/** The fields that the messages of several kinds of resources have in common. */

export function toIdentity(kind: ResourceKind, { id, name }: { readonly id: bigint; readonly name: string }) {
  return {
    id,
    hashedId: hashedId(id),
    recordLocator: recordLocator(kind, id),
    name,
    rfc1034Name: rfc1034Name(name),
  };
}

export function toOwner(owner: Owner) {
  return {
    userProfileId: owner.profileId,
    userId: owner.userId,
    username: owner.username,
    accountId: owner.accountId,
    accountNumber: owner.accountNumber,
  };
}

interface History {
  readonly createdAt: Instant | null;
  readonly updatedAt: Instant | null;
  readonly rowVersion: bigint;
}

export function toHistory({ createdAt, updatedAt, rowVersion }: History) {
  return { createdAt: toTimestamp(createdAt), updatedAt: toTimestamp(updatedAt), etag: etagOf(rowVersion) };
}
