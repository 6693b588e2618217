import type { Caller } from '../../authz/caller.js';
import type { SecretServiceService } from '../../gen/keyward/secret/v1/secret_service.js';
import type {
  AttachReferenceRequest,
  DetachReferenceRequest,
} from '../../gen/keyward/secret/v1/secret_service.js';
import type { Clock } from '../../lib/clock.js';
import { presentOf } from '../../lib/instant.js';
import { parseListRequest } from '../../lib/page.js';
import { checkReference, type ReferenceSettings } from '../../lib/references.js';
import { checkExpiry } from '../../lib/resource-rules.js';
import { checked } from '../../lib/violations.js';
import type { Handlers } from '../../rpc/handlers.js';
import { toPropagation } from '../../rpc/propagation-message.js';
import { readUserProfileSelector } from '../../rpc/selectors.js';
import { readExpiry } from '../../rpc/timestamp.js';
import type { GrantService } from './grant-service.js';
import type { ReferenceService } from './reference-service.js';
import { GRANT_COLUMNS, REFERENCE_COLUMNS } from '../secret-columns.js';
import { readSecretSelector, toGrant, toReference } from '../secret-messages.js';
import type { SecretRef } from '../secret-ref.js';

/** The methods about who uses a secret: consumers, and those to whom it is granted. */
type Methods = Pick<
  typeof SecretServiceService,
  'attachReference' | 'detachReference' | 'listReferences' | 'grantAccess' | 'revokeAccess' | 'listGrants'
>;

const READ = 'keyward.secrets.read';
const WRITE = 'keyward.secrets.write';

export function sharingHandlers(
  references: ReferenceService,
  grants: GrantService,
  clock: Clock,
): Handlers<Methods> {
  return {
    attachReference: {
      permission: WRITE,
      handle: async (request, caller) => {
        const { ref, reference } = readReference(request, caller);
        return { reference: toReference(await references.attach(caller, ref, reference)) };
      },
    },
    detachReference: {
      permission: WRITE,
      handle: async (request, caller) => {
        const { ref, reference } = readReference(request, caller);
        await references.detach(caller, ref, reference);
        return {};
      },
    },
    listReferences: {
      permission: READ,
      handle: async (request, caller) => {
        const { ref, query } = checked((v) => ({
          ref: readSecretSelector(v, 'secret', request.secret, caller),
          query: parseListRequest(v, request, REFERENCE_COLUMNS, caller),
        }));
        const page = await references.list(caller, ref, query);
        return { references: page.items.map(toReference), nextPageToken: page.nextPageToken };
      },
    },
    grantAccess: {
      permission: WRITE,
      // Whoever grants could grant to himself.
      alsoNeeds: ['keyward.secrets.access'],
      handle: async ({ selector, userProfile, expiry }, caller) => {
        const now = presentOf(clock);
        const { ref, grantee, expiresAt } = checked((v) => {
          const end = readExpiry(v, expiry, now);
          checkExpiry(v, 'expires_at', end, now);
          return {
            ref: readSecretSelector(v, 'selector', selector, caller),
            grantee: readUserProfileSelector(v, 'user_profile', userProfile),
            expiresAt: end,
          };
        });
        return { grant: toGrant(await grants.grant(caller, ref, grantee, expiresAt)) };
      },
    },
    revokeAccess: {
      permission: WRITE,
      handle: async ({ selector, userProfile }, caller) => {
        const { ref, grantee } = checked((v) => ({
          ref: readSecretSelector(v, 'selector', selector, caller),
          grantee: readUserProfileSelector(v, 'user_profile', userProfile),
        }));
        const { propagation } = await grants.revoke(caller, ref, grantee);
        return { propagation: toPropagation(propagation) };
      },
    },
    listGrants: {
      permission: READ,
      handle: async (request, caller) => {
        const { ref, query } = checked((v) => ({
          ref: readSecretSelector(v, 'secret', request.secret, caller),
          query: parseListRequest(v, request, GRANT_COLUMNS, caller),
        }));
        const page = await grants.list(caller, ref, query);
        return { grants: page.items.map(toGrant), nextPageToken: page.nextPageToken };
      },
    },
  };
}

function readReference(
  { selector, kind, consumer }: AttachReferenceRequest | DetachReferenceRequest,
  caller: Caller,
): {
  ref: SecretRef;
  reference: ReferenceSettings;
} {
  const reference = { kind, consumer };
  return checked((v) => {
    checkReference(v, reference);
    return { ref: readSecretSelector(v, 'selector', selector, caller), reference };
  });
}
