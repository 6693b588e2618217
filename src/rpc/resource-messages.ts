import type { Owner } from '../authz/owner.js';
import { etagOf } from '../lib/etag.js';
import type { Instant } from '../lib/instant.js';
import { hashedId, recordLocator, type ResourceKind } from '../lib/public-id.js';
import type { Description } from '../lib/resource-rules.js';
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

export function toDescription(fields: Description) {
  return {
    description: fields.description,
    version: fields.version,
    tags: [...fields.tags],
    annotations: new Map(fields.annotations),
    manifestPath: fields.manifestPath,
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

/** descriptionReaders read the common fields; those of a message that is not there are empty, as in proto3. */
export function descriptionReaders(
  message: Description | undefined,
): Readonly<Record<string, () => Partial<Description>>> {
  return {
    description: () => ({ description: message?.description ?? '' }),
    version: () => ({ version: message?.version ?? '' }),
    tags: () => ({ tags: message?.tags ?? [] }),
    annotations: () => ({ annotations: message?.annotations ?? new Map<string, string>() }),
    manifest_path: () => ({ manifestPath: message?.manifestPath ?? '' }),
  };
}
