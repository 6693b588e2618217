import { status } from '@grpc/grpc-js';
import type { KeywardError, Reason } from '../lib/errors.js';
import { codeOf } from '../rpc/error-status.js';
import { RETRY_AFTER_SECONDS } from './refusal.js';

/** HttpAnswer is what a request is answered with; every answer is `no-store`. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  /** JSON, or nothing. */
  readonly body: string;
}

/** HTTP status and OAuth's or an own name for each gRPC code that a failure may have. */
const BY_CODE: Partial<Record<status, readonly [number, string]>> = {
  [status.INVALID_ARGUMENT]: [400, 'invalid_request'],
  [status.UNAUTHENTICATED]: [401, 'invalid_client'],
  [status.PERMISSION_DENIED]: [403, 'access_denied'],
  [status.NOT_FOUND]: [404, 'not_found'],
  [status.FAILED_PRECONDITION]: [409, 'failed_precondition'],
  [status.RESOURCE_EXHAUSTED]: [503, 'temporarily_unavailable'],
  [status.UNAVAILABLE]: [503, 'temporarily_unavailable'],
  [status.DEADLINE_EXCEEDED]: [503, 'temporarily_unavailable'],
};
const BY_REASON: Partial<Record<Reason, readonly [number, string]>> = {
  SCOPE_MISSING: [403, 'insufficient_scope'],
  REQUEST_TOO_LARGE: [413, 'request_too_large'],
};
const FAULT = [500, 'server_error'] as const;
/** Whoever asks: a gateway, a resource server, an operator of secrets. */
const CHALLENGES = 'Basic realm="keyward", Bearer realm="keyward"';

/** failureAnswer tells a caller why its own call failed, with what an error of gRPC has in its details. */
export function failureAnswer(error: KeywardError): HttpAnswer {
  const [code, name] = BY_REASON[error.reason] ?? BY_CODE[codeOf(error)] ?? FAULT;
  const headers: (readonly [string, string])[] = [];
  if (code === 401) headers.push(['www-authenticate', CHALLENGES]);
  if (code === 503) headers.push(['retry-after', RETRY_AFTER_SECONDS]);
  const { reason, message, violations, metadata } = error;
  const details = {
    error: name,
    reason,
    message,
    ...(violations.length === 0 ? {} : { violations }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  };
  return jsonAnswer(code, details, headers);
}

export function jsonAnswer(
  code: number,
  value: unknown,
  headers: readonly (readonly [string, string])[] = [],
): HttpAnswer {
  return {
    status: code,
    headers: [...headers, ['content-type', 'application/json']],
    body: `${JSON.stringify(value)}\n`,
  };
}
