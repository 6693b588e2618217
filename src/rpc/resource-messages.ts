import type { Owner } from '../authz/owner.js';
import { etagOf } from '../lib/etag.js';
import type { Instant } from '../lib/instant.js';
import { hashedId, recordLocator, type ResourceKind } from '../lib/public-id.js';
import { rfc1034Name, snakeName } from '../lib/text.js';
import { toTimestamp } from './timestamp.js';

/** The fields that the messages of several kinds of resources have in common. */

interface Identified {
  readonly id: bigint;
  readonly name: string;
  readonly manifestPath: string;
}

export function toIdentity(kind: ResourceKind, { id, name, manifestPath }: Identified) {
  const publicId = hashedId(id);
  const label = rfc1034Name(name);
  return {
    id,
    hashedId: publicId,
    recordLocator: recordLocator(kind, id),
    name,
    rfc1034Name: label,
    snakeName: snakeName(label),
    manifestPath: manifestPath === '' ? `/${kind}s/${publicId}/` : manifestPath,
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
