import type { Caller } from '../authz/caller.js';
import type { UserProfileRef } from '../authz/refs.js';
import type { Propagated } from '../coherence/propagated-changes.js';
import type { TokenServiceService } from '../gen/keyward/token/v1/token_service.js';
import type { CreateTokenRequest, ListTokensRequest } from '../gen/keyward/token/v1/token_service.js';
import type { Clock } from '../lib/clock.js';
import { presentOf, type Instant } from '../lib/instant.js';
import { parseListRequest, type PageQuery } from '../lib/page.js';
import { checkName, MAX_DESCRIPTION_BYTES } from '../lib/resource-rules.js';
import { checked, type Violations } from '../lib/violations.js';
import type { Handlers } from '../rpc/handlers.js';
import { readChange, readCopy, readNew } from '../rpc/field-messages.js';
import { readRepeatable } from '../rpc/repeatable.js';
import { toPropagation } from '../rpc/propagation-message.js';
import { readOwner, readUserProfileSelector, readUserSelector } from '../rpc/selectors.js';
import { fromDuration } from '../rpc/timestamp.js';
import { readTokenSelector, toConsumers, toToken } from './token-messages.js';
import { TOKEN_COLUMNS } from './token-columns.js';
import type { HeldToken } from './token-finder.js';
import type { TokenService } from './token-service.js';
import { checkGrace, TOKEN_FIELDS, type TokenSettings } from './token.js';

/** The methods that manage tokens. ValidateToken with its other forms, references and WatchTokens have their own. */
type ManagingMethods = Omit<
  typeof TokenServiceService,
  | 'validateToken'
  | 'batchValidateTokens'
  | 'streamValidateTokens'
  | 'attachReference'
  | 'detachReference'
  | 'listReferences'
  | 'watchTokens'
  | 'holdVerdicts'
>;

const READ = 'keyward.tokens.read';
const WRITE = 'keyward.tokens.write';

export function tokenHandlers(service: TokenService, clock: Clock): Handlers<ManagingMethods> {
  const now = (): Instant => presentOf(clock);
  const shown = (token: HeldToken['token']) => toToken(token, now());
  const toChanged = ({ result, propagation }: Propagated<HeldToken>) => ({
    token: shown(result.token),
    propagation: toPropagation(propagation),
  });
  const toChangedWithConsumers = (changed: Propagated<HeldToken>) => ({
    ...toChanged(changed),
    consumers: toConsumers(changed.result.consumers),
  });
  return {
    createToken: {
      permission: WRITE,
      maxRequestBytes: MAX_DESCRIPTION_BYTES,
      handle: async (request, caller) => {
        const { by, owner, settings } = readCreate(request, caller, now());
        const { token, plaintext } = await service.create(by, owner, settings);
        return { token: shown(token), plaintext };
      },
    },
    getToken: {
      permission: READ,
      handle: async (request, caller) => {
        const ref = checked((v) => readTokenSelector(v, 'token', request.token, caller));
        const { token, consumers } = await service.get(caller, ref);
        return { token: shown(token), consumers: toConsumers(consumers) };
      },
    },
    listTokens: {
      permission: READ,
      handle: async (request, caller) => {
        const page = await service.list(caller, readList(request, caller));
        return { tokens: page.items.map(shown), nextPageToken: page.nextPageToken };
      },
    },
    updateToken: {
      permission: WRITE,
      maxRequestBytes: MAX_DESCRIPTION_BYTES,
      handle: async (request, caller) => {
        const { ref, change } = checked((v) => ({
          ref: readTokenSelector(v, 'selector', request.selector, caller),
          change: readChange(
            v,
            TOKEN_FIELDS,
            { field: 'token', resource: request.token, mask: request.updateMask },
            now(),
          ),
        }));
        return toChangedWithConsumers(await service.update(caller, ref, request.etag, change));
      },
    },
    renameToken: {
      permission: WRITE,
      handle: async (request, caller) => {
        const ref = checked((v) => {
          checkName(v, 'new_name', request.newName);
          return readTokenSelector(v, 'selector', request.selector, caller);
        });
        return toChanged(await service.rename(caller, ref, request.etag, request.newName));
      },
    },
    cloneToken: {
      permission: WRITE,
      handle: async (request, caller) => {
        const { by, ref, copied, owner } = checked((v) => ({
          copied: readCopy(v, request),
          by: readRepeatable(v, caller, 'CloneToken', request.requestId),
          ref: readTokenSelector(v, 'selector', request.selector, caller),
          owner: request.owner && readUserProfileSelector(v, 'owner', request.owner),
        }));
        const { token, plaintext } = await service.clone(by, ref, copied, owner);
        return { token: shown(token), plaintext };
      },
    },
    transferToken: {
      permission: WRITE,
      handle: async ({ selector, owner, etag }, caller) => {
        const { ref, newOwner } = checked((v) => ({
          ref: readTokenSelector(v, 'selector', selector, caller),
          newOwner: readUserProfileSelector(v, 'owner', owner),
        }));
        return toChanged(await service.transfer(caller, ref, etag, newOwner));
      },
    },
    activateToken: {
      permission: WRITE,
      handle: async ({ selector, etag }, caller) => {
        const ref = checked((v) => readTokenSelector(v, 'selector', selector, caller));
        return toChanged(await service.setActive(caller, ref, etag, true));
      },
    },
    deactivateToken: {
      permission: WRITE,
      handle: async ({ selector, etag }, caller) => {
        const ref = checked((v) => readTokenSelector(v, 'selector', selector, caller));
        return toChangedWithConsumers(await service.setActive(caller, ref, etag, false));
      },
    },
    toggleToken: {
      permission: WRITE,
      handle: async ({ selector, etag }, caller) => {
        const ref = checked((v) => readTokenSelector(v, 'selector', selector, caller));
        return toChangedWithConsumers(await service.setActive(caller, ref, etag, 'toggle'));
      },
    },
    rotateToken: {
      permission: WRITE,
      handle: async ({ selector, etag, gracePeriod, requestId }, caller) => {
        const { by, ref, grace } = checked((v) => ({
          by: readRepeatable(v, caller, 'RotateToken', requestId),
          ref: readTokenSelector(v, 'selector', selector, caller),
          grace: readGrace(v, gracePeriod),
        }));
        const { result, propagation } = await service.rotate(by, ref, etag, grace);
        const { token, plaintext, consumers } = result;
        return {
          token: shown(token),
          plaintext,
          propagation: toPropagation(propagation),
          consumers: toConsumers(consumers),
        };
      },
    },
    revokeToken: {
      permission: WRITE,
      handle: async ({ selector, etag }, caller) => {
        const ref = checked((v) => readTokenSelector(v, 'selector', selector, caller));
        const { result, propagation } = await service.revoke(caller, ref, etag);
        return { propagation: toPropagation(propagation), consumers: toConsumers(result.consumers) };
      },
    },
    revokeUserTokens: {
      permission: WRITE,
      handle: async ({ user }, caller) => {
        const ref = checked((v) => readUserSelector(v, 'user', user));
        const { result, propagation } = await service.revokeOfUser(caller, ref);
        return {
          revokedCount: result.count,
          propagation: toPropagation(propagation),
          consumers: toConsumers(result.consumers),
        };
      },
    },
  };
}

function readCreate(
  { owner, requestId, ...given }: CreateTokenRequest,
  caller: Caller,
  now: Instant,
): { by: Caller; owner: UserProfileRef; settings: TokenSettings } {
  return checked((v) => ({
    settings: readNew(v, TOKEN_FIELDS, given, now),
    by: readRepeatable(v, caller, 'CreateToken', requestId),
    owner: readOwner(v, 'owner', owner, caller),
  }));
}

function readGrace(v: Violations, gracePeriod: { seconds: bigint; nanos: number } | undefined): bigint {
  if (gracePeriod === undefined) return 0n;
  const grace = fromDuration(v, 'grace_period', gracePeriod) ?? 0n;
  checkGrace(v, 'grace_period', grace);
  return grace;
}

function readList({ pageSize, pageToken, filter, orderBy }: ListTokensRequest, caller: Caller): PageQuery {
  return checked((v) => parseListRequest(v, { pageSize, pageToken, filter, orderBy }, TOKEN_COLUMNS, caller));
}
