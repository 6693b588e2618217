import type { Propagation } from '../../gen/keyward/coherence/v1/propagation.js';
import type { SecretServiceService } from '../../gen/keyward/secret/v1/secret_service.js';
import type { SecretSelector } from '../../gen/keyward/secret/v1/secret.js';
import { parseListRequest } from '../../lib/page.js';
import { checked } from '../../lib/violations.js';
import type { Handler, Handlers } from '../../rpc/handlers.js';
import { toPropagation } from '../../rpc/propagation-message.js';
import { readRepeatable } from '../../rpc/repeatable.js';
import { VERSION_COLUMNS } from '../secret-columns.js';
import { readPayload, readSecretSelector, toVersion } from '../secret-messages.js';
import { MAX_PAYLOAD, type VersionState } from '../secret.js';
import type { VersionService } from './version-service.js';

/** The methods about the versions of a secret, but for their values. */
type Methods = Pick<
  typeof SecretServiceService,
  | 'addSecretVersion'
  | 'listSecretVersions'
  | 'disableSecretVersion'
  | 'enableSecretVersion'
  | 'destroySecretVersion'
>;

const READ = 'keyward.secrets.read';
const WRITE = 'keyward.secrets.write';

export function versionHandlers(service: VersionService): Handlers<Methods> {
  return {
    addSecretVersion: {
      permission: WRITE,
      maxRequestBytes: 2 * MAX_PAYLOAD,
      handle: async (request, caller) => {
        const { by, ref, payload } = checked((v) => ({
          by: readRepeatable(v, caller, 'AddSecretVersion', request.requestId),
          ref: readSecretSelector(v, 'selector', request.selector, caller),
          payload: readPayload(v, 'payload', request.payload),
        }));
        return { version: toVersion(await service.add(by, ref, request.etag, payload)) };
      },
    },
    listSecretVersions: {
      permission: READ,
      handle: async (request, caller) => {
        const { ref, query } = checked((v) => ({
          ref: readSecretSelector(v, 'secret', request.secret, caller),
          query: parseListRequest(v, request, VERSION_COLUMNS, caller),
        }));
        const page = await service.list(caller, ref, query);
        return { versions: page.items.map(toVersion), nextPageToken: page.nextPageToken };
      },
    },
    disableSecretVersion: stateHandler(service, 'DISABLED'),
    enableSecretVersion: { ...stateHandler(service, 'ENABLED'), alsoNeeds: ['keyward.secrets.access'] },
    destroySecretVersion: stateHandler(service, 'DESTROYED'),
  };
}

interface VersionRequest {
  readonly selector?: SecretSelector | undefined;
  readonly version: number;
  readonly etag: string;
}

function stateHandler(
  service: VersionService,
  state: VersionState,
): Handler<VersionRequest, { version: ReturnType<typeof toVersion>; propagation: Propagation }> {
  return {
    permission: WRITE,
    handle: async ({ selector, version, etag }, caller) => {
      const ref = checked((v) => {
        v.check(version > 0, 'version', 'must be above 0');
        return readSecretSelector(v, 'selector', selector, caller);
      });
      const { result, propagation } = await service.setState(caller, ref, version, etag, state);
      return { version: toVersion(result), propagation: toPropagation(propagation) };
    },
  };
}
