import type { Caller } from '../authz/caller.js';
import type {
  AttachReferenceRequest,
  DetachReferenceRequest,
  TokenServiceService,
} from '../gen/keyward/token/v1/token_service.js';
import { parseListRequest } from '../lib/page.js';
import { checkReference, type ReferenceSettings } from '../lib/references.js';
import { checked } from '../lib/violations.js';
import type { Handlers } from '../rpc/handlers.js';
import type { TokenReferenceService } from './reference-service.js';
import { REFERENCE_COLUMNS } from './token-columns.js';
import { readTokenSelector, toReference } from './token-messages.js';
import type { TokenRef } from './token-ref.js';

/** The methods about who holds a token. */
type Methods = Pick<typeof TokenServiceService, 'attachReference' | 'detachReference' | 'listReferences'>;

const READ = 'keyward.tokens.read';
const WRITE = 'keyward.tokens.write';

export function tokenReferenceHandlers(references: TokenReferenceService): Handlers<Methods> {
  return {
    attachReference: {
      permission: WRITE,
      handle: async (request, caller) => {
        const { ref, settings } = readReference(request, caller);
        return { reference: toReference(await references.attach(caller, ref, settings)) };
      },
    },
    detachReference: {
      permission: WRITE,
      handle: async (request, caller) => {
        const { ref, settings } = readReference(request, caller);
        await references.detach(caller, ref, settings);
        return {};
      },
    },
    listReferences: {
      permission: READ,
      handle: async (request, caller) => {
        const { ref, query } = checked((v) => ({
          ref: readTokenSelector(v, 'token', request.token, caller),
          query: parseListRequest(v, request, REFERENCE_COLUMNS, caller),
        }));
        const page = await references.list(caller, ref, query);
        return { references: page.items.map(toReference), nextPageToken: page.nextPageToken };
      },
    },
  };
}

function readReference(
  { selector, kind, consumer }: AttachReferenceRequest | DetachReferenceRequest,
  caller: Caller,
): { ref: TokenRef; settings: ReferenceSettings } {
  const settings = { kind, consumer };
  return checked((v) => {
    checkReference(v, settings);
    return { ref: readTokenSelector(v, 'selector', selector, caller), settings };
  });
}
