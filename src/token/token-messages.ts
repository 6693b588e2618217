import type { Token as TokenMessage, TokenIssuer, TokenSelector } from '../gen/keyward/token/v1/token.js';
import type { Caller } from '../authz/caller.js';
import type { Instant } from '../lib/instant.js';
import { isUuid, mask } from '../lib/text.js';
import type { Violations } from '../lib/violations.js';
import { toFields, type NotSet } from '../rpc/field-messages.js';
import { toHistory, toIdentity, toOwner } from '../rpc/resource-messages.js';
import { missing, readOwnedName, readPublicId } from '../rpc/selectors.js';
import { toTimestamp } from '../rpc/timestamp.js';
import type { TokenRef } from './token-ref.js';
import { digestHex } from '../crypto/digest.js';
import { isExpired, TOKEN_FIELDS, type Issuer, type Token } from './token.js';

/** The translation between messages and tokens. */

export function toToken(token: Token, now: Instant): TokenMessage {
  const others: NotSet<TokenMessage, typeof TOKEN_FIELDS> = {
    ...toIdentity('token', token),
    ...toHistory(token),
    keyId: token.keyId,
    owner: toOwner(token.owner),
    lastUsedAt: toTimestamp(token.lastUsedAt),
    identifier: mask(digestHex(token.digest)),
    tokenKey: token.tokenKey,
    graceEndsAt: toTimestamp(token.graceEndsAt),
    issuedBy: token.issuedBy === null ? undefined : toIssuer(token.issuedBy),
    isExpired: isExpired(token, now),
    ready: token.isActive && !isExpired(token, now),
  };
  return { ...toFields(TOKEN_FIELDS, token), ...others };
}

function toIssuer({ keyId = '', username, userId }: Issuer): TokenIssuer {
  return { keyId, username, userId };
}

/** readTokenSelector reads a selector; one that names nothing is a violation of `field`. */
export function readTokenSelector(
  v: Violations,
  field: string,
  message: TokenSelector | undefined,
  caller: Caller,
): TokenRef {
  const selector = message?.selector;
  if (selector === undefined) return missing(v, field);
  switch (selector.$case) {
    case 'keyId':
      v.check(isUuid(selector.value), `${field}.key_id`, 'must be a UUID with hyphens');
      return { by: 'key_id', keyId: selector.value };
    case 'ownedName':
      return readOwnedName(v, `${field}.owned_name`, selector.value, caller);
    default:
      return readPublicId(v, field, 'token', selector);
  }
}
