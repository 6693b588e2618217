import type { Caller } from '../authz/caller.js';
import type { Propagated } from '../coherence/propagated-changes.js';
import type { UserProfileRef } from '../authz/refs.js';
import type { CreateSecretRequest, SecretServiceService } from '../gen/keyward/secret/v1/secret_service.js';
import type { Clock } from '../lib/clock.js';
import { presentOf, type Instant } from '../lib/instant.js';
import { parseListRequest } from '../lib/page.js';
import { checkName, MAX_DESCRIPTION_BYTES } from '../lib/resource-rules.js';
import { checked } from '../lib/violations.js';
import { readChange, readCopy, readNew } from '../rpc/field-messages.js';
import type { Handlers } from '../rpc/handlers.js';
import { toPropagation } from '../rpc/propagation-message.js';
import { readRepeatable } from '../rpc/repeatable.js';
import { readOwner, readUserProfileSelector } from '../rpc/selectors.js';
import type { CloneService } from './clone-service.js';
import { SECRET_COLUMNS } from './secret-columns.js';
import { readPayload, readSecretSelector, toSecret } from './secret-messages.js';
import type { SecretService } from './secret-service.js';
import { MAX_PAYLOAD, SECRET_FIELDS, type Payload, type Secret, type SecretSettings } from './secret.js';

/** The methods about secrets as a whole. */
type Methods = Pick<
  typeof SecretServiceService,
  | 'createSecret'
  | 'getSecret'
  | 'listSecrets'
  | 'updateSecret'
  | 'renameSecret'
  | 'cloneSecret'
  | 'transferSecret'
  | 'deleteSecret'
  | 'undeleteSecret'
>;

const READ = 'keyward.secrets.read';
const WRITE = 'keyward.secrets.write';
/** Of methods by which a value that is there already may reach somebody. */
const alsoNeeds = ['keyward.secrets.access'] as const;

export function secretHandlers(
  service: SecretService,
  cloning: CloneService,
  clock: Clock,
): Handlers<Methods> {
  const now = (): Instant => presentOf(clock);
  const shown = (secret: Secret) => toSecret(secret, now());
  const toEnded = ({ result, propagation }: Propagated<Secret>) => ({
    secret: shown(result),
    propagation: toPropagation(propagation),
  });
  return {
    createSecret: {
      permission: WRITE,
      maxRequestBytes: MAX_DESCRIPTION_BYTES + 2 * MAX_PAYLOAD,
      handle: async (request, caller) => {
        const { by, owner, settings, payload } = readCreate(request, caller, now());
        return { secret: shown(await service.create(by, owner, settings, payload)) };
      },
    },
    getSecret: {
      permission: READ,
      handle: async (request, caller) => {
        const ref = checked((v) => readSecretSelector(v, 'secret', request.secret, caller));
        return { secret: shown(await service.get(caller, ref)) };
      },
    },
    listSecrets: {
      permission: READ,
      handle: async (request, caller) => {
        const query = checked((v) => parseListRequest(v, request, SECRET_COLUMNS, caller));
        const page = await service.list(caller, query, request.showDeleted);
        return { secrets: page.items.map(shown), nextPageToken: page.nextPageToken };
      },
    },
    updateSecret: {
      permission: WRITE,
      maxRequestBytes: MAX_DESCRIPTION_BYTES,
      handle: async (request, caller) => {
        const { ref, change } = checked((v) => ({
          ref: readSecretSelector(v, 'selector', request.selector, caller),
          change: readChange(
            v,
            SECRET_FIELDS,
            { field: 'secret', resource: request.secret, mask: request.updateMask },
            now(),
          ),
        }));
        return { secret: shown(await service.update(caller, ref, request.etag, change)) };
      },
    },
    renameSecret: {
      permission: WRITE,
      handle: async (request, caller) => {
        const ref = checked((v) => {
          checkName(v, 'new_name', request.newName);
          return readSecretSelector(v, 'selector', request.selector, caller);
        });
        return { secret: shown(await service.rename(caller, ref, request.etag, request.newName)) };
      },
    },
    cloneSecret: {
      permission: WRITE,
      alsoNeeds,
      onMissingScope: (caller) => cloning.recordMissingScope(caller),
      handle: async ({ selector, owner, requestId, ...given }, caller) => {
        const { by, ref, copy, newOwner } = checked((v) => ({
          copy: readCopy(v, given),
          by: readRepeatable(v, caller, 'CloneSecret', requestId),
          ref: readSecretSelector(v, 'selector', selector, caller),
          newOwner: owner && readUserProfileSelector(v, 'owner', owner),
        }));
        return { secret: shown(await cloning.clone(by, ref, copy, newOwner)) };
      },
    },
    transferSecret: {
      permission: WRITE,
      alsoNeeds,
      handle: async ({ selector, owner, etag }, caller) => {
        const { ref, newOwner } = checked((v) => ({
          ref: readSecretSelector(v, 'selector', selector, caller),
          newOwner: readUserProfileSelector(v, 'owner', owner),
        }));
        return toEnded(await service.transfer(caller, ref, etag, newOwner));
      },
    },
    deleteSecret: {
      permission: WRITE,
      handle: async ({ selector, etag, force }, caller) => {
        const ref = checked((v) => readSecretSelector(v, 'selector', selector, caller));
        return toEnded(await service.delete(caller, ref, etag, force));
      },
    },
    undeleteSecret: {
      permission: WRITE,
      // It brings back grants, too.
      alsoNeeds,
      handle: async ({ selector, etag }, caller) => {
        const ref = checked((v) => readSecretSelector(v, 'selector', selector, caller));
        return { secret: shown(await service.undelete(caller, ref, etag)) };
      },
    },
  };
}

function readCreate(
  { owner, payload, requestId, ...given }: CreateSecretRequest,
  caller: Caller,
  now: Instant,
): { by: Caller; owner: UserProfileRef; settings: SecretSettings; payload: Payload } {
  return checked((v) => ({
    settings: readNew(v, SECRET_FIELDS, given, now),
    payload: readPayload(v, 'payload', payload),
    by: readRepeatable(v, caller, 'CreateSecret', requestId),
    owner: readOwner(v, 'owner', owner, caller),
  }));
}
