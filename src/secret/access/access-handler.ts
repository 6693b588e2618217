import type { Caller } from '../../authz/caller.js';
import type {
  AccessSecretRequest,
  AccessSecretResponse,
  BatchAccessSecretsResult,
  SecretServiceService,
} from '../../gen/keyward/secret/v1/secret_service.js';
import { KeywardError } from '../../lib/errors.js';
import { checked, type Violations } from '../../lib/violations.js';
import { toRpcStatus } from '../../rpc/error-status.js';
import type { Handlers } from '../../rpc/handlers.js';
import type { AccessRequest, AccessService } from './access-service.js';
import type { AccessedSecret } from './access.js';
import { readSecretSelector, toPayload } from '../secret-messages.js';

/** The methods that give values: no other does. */
type Methods = Pick<typeof SecretServiceService, 'accessSecret' | 'batchAccessSecrets'>;

const ACCESS = 'keyward.secrets.access';
const MAX_REQUESTS = 100;
/** Many accesses share the statement that reads and the one that records; each decrypts by itself. */
export const ACCESS_WEIGHT = 10;
/** One of them: a name and a username at their longest. */
const MAX_REQUEST_BYTES = 4 * 1024;

export function accessHandlers(service: AccessService): Handlers<Methods> {
  const onMissingScope = (caller: Caller): Promise<void> => service.recordMissingScope(caller);
  return {
    accessSecret: {
      permission: ACCESS,
      onMissingScope,
      weight: ACCESS_WEIGHT,
      handle: async (request, caller) => toAccess(await service.access(caller, readAccess(request, caller))),
    },
    batchAccessSecrets: {
      permission: ACCESS,
      maxRequestBytes: MAX_REQUESTS * MAX_REQUEST_BYTES,
      onMissingScope,
      handle: async ({ requests }, caller) => {
        const results = await service.accessMany(caller, readBatch(requests, caller));
        return { results: results.map(toResult) };
      },
    },
  };
}

function readBatch(requests: readonly AccessSecretRequest[], caller: Caller): AccessRequest[] {
  return checked((v) => {
    v.check(requests.length > 0, 'requests', 'must not be empty');
    v.check(requests.length <= MAX_REQUESTS, 'requests', `must be at most ${MAX_REQUESTS}`);
    return v.any
      ? []
      : requests.map((request, index) => readRequest(v, `requests[${index}].`, request, caller));
  });
}

/** readAccess reads a request for one value. */
export function readAccess(request: AccessSecretRequest, caller: Caller): AccessRequest {
  return checked((v) => readRequest(v, '', request, caller));
}

function readRequest(
  v: Violations,
  prefix: string,
  request: AccessSecretRequest,
  caller: Caller,
): AccessRequest {
  const { secret, version, includeExpired, skipAccessTime } = request;
  v.check(version >= 0, `${prefix}version`, 'must not be negative');
  return {
    ref: readSecretSelector(v, `${prefix}secret`, secret, caller),
    version: version === 0 ? null : version,
    includeExpired,
    skipAccessTime,
  };
}

function toResult(result: AccessedSecret | KeywardError): BatchAccessSecretsResult {
  return {
    result:
      result instanceof KeywardError
        ? { $case: 'error', value: toRpcStatus(result) }
        : { $case: 'access', value: toAccess(result) },
  };
}

export function toAccess({ secretId, version, payload }: AccessedSecret): AccessSecretResponse {
  return { secretId, version, payload: toPayload(payload) };
}
