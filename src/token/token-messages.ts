import type { OwnedName, Token as TokenMessage, TokenSelector } from '../gen/keyward/token/v1/token.js';
import { etagOf } from '../lib/etag.js';
import { hashedId, recordLocator } from '../lib/public-id.js';
import { isUuid, mask, rfc1034Name } from '../lib/text.js';
import type { Violations } from '../lib/violations.js';
import { missing, readName, readPublicId, readUserProfileSelector } from '../rpc/selectors.js';
import { toTimestamp } from '../rpc/timestamp.js';
import type { TokenRef } from './token-ref.js';
import { digestHex, type Token } from './token.js';

/** The translation between messages and tokens. */

export function toToken(token: Token): TokenMessage {
  const { owner } = token;
  return {
    id: token.id,
    hashedId: hashedId(token.id),
    recordLocator: recordLocator('token', token.id),
    keyId: token.keyId,
    name: token.name,
    description: token.description,
    version: token.version,
    tags: [...token.tags],
    annotations: new Map(token.annotations),
    manifestPath: token.manifestPath,
    rfc1034Name: rfc1034Name(token.name),
    owner: {
      userProfileId: owner.profileId,
      userId: owner.userId,
      username: owner.username,
      accountId: owner.accountId,
      accountNumber: owner.accountNumber,
    },
    isActive: token.isActive,
    expiresAt: toTimestamp(token.expiresAt),
    scopes: [...token.scopes],
    lastUsedAt: toTimestamp(token.lastUsedAt),
    identifier: mask(digestHex(token.digest)),
    tokenKey: token.tokenKey,
    prefix: token.prefix,
    graceEndsAt: toTimestamp(token.graceEndsAt),
    createdAt: toTimestamp(token.createdAt),
    updatedAt: toTimestamp(token.updatedAt),
    etag: etagOf(token.rowVersion),
  };
}

/** readTokenSelector reads a selector; one that names nothing is a violation of `field`. */
export function readTokenSelector(
  v: Violations,
  field: string,
  message: TokenSelector | undefined,
): TokenRef {
  const selector = message?.selector;
  if (selector === undefined) return missing(v, field);
  switch (selector.$case) {
    case 'keyId':
      v.check(isUuid(selector.value), `${field}.key_id`, 'must be a UUID with hyphens');
      return { by: 'key_id', keyId: selector.value };
    case 'ownedName':
      return readOwnedName(v, `${field}.owned_name`, selector.value);
    default:
      return readPublicId(v, field, 'token', selector);
  }
}

function readOwnedName(v: Violations, field: string, { owner, name: given }: OwnedName): TokenRef {
  const name = readName(v, `${field}.name`, given, 255);
  switch (owner?.$case) {
    case 'userProfile':
      return { by: 'owner', owner: readUserProfileSelector(v, `${field}.user_profile`, owner.value), name };
    case 'accountNumber':
      return { by: 'account', accountNumber: readName(v, `${field}.account_number`, owner.value, 255), name };
    case undefined:
      return missing(v, `${field}.owner`);
  }
}
