import { Metadata, status, type StatusObject } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, ResourceInfo, RetryInfo } from '../gen/google/rpc/error_details.js';
import { Status } from '../gen/google/rpc/status.js';
import { KeywardError, type Reason } from '../lib/errors.js';

/** The gRPC status of every reason: the one table that maps errors. */
const STATUS: Readonly<Record<Reason, status>> = {
  INVALID_FIELDS: status.INVALID_ARGUMENT,
  MALFORMED_REQUEST: status.INVALID_ARGUMENT,
  CREDENTIALS_REFUSED: status.UNAUTHENTICATED,
  SCOPE_MISSING: status.PERMISSION_DENIED,
  NOT_PERMITTED: status.PERMISSION_DENIED,
  SCOPE_NOT_HELD: status.PERMISSION_DENIED,
  NOT_FOUND: status.NOT_FOUND,
  ALREADY_EXISTS: status.ALREADY_EXISTS,
  REQUEST_ALREADY_DONE: status.ALREADY_EXISTS,
  ETAG_MISMATCH: status.ABORTED,
  CONFLICT: status.ABORTED,
  OWNER_NOT_STAFF: status.FAILED_PRECONDITION,
  NAME_AMBIGUOUS: status.FAILED_PRECONDITION,
  RESOURCE_IN_USE: status.FAILED_PRECONDITION,
  PLATFORM_ACCOUNT: status.FAILED_PRECONDITION,
  SECRET_EXPIRED: status.FAILED_PRECONDITION,
  SECRET_UNDECRYPTABLE: status.DATA_LOSS,
  SECRET_MISPLACED: status.DATA_LOSS,
  SECRET_REFERENCED: status.FAILED_PRECONDITION,
  TOO_MANY_REFERENCES: status.FAILED_PRECONDITION,
  VERSION_NOT_ENABLED: status.FAILED_PRECONDITION,
  NOT_DELETED: status.FAILED_PRECONDITION,
  REVISION_TOO_OLD: status.FAILED_PRECONDITION,
  REVISION_IN_FUTURE: status.FAILED_PRECONDITION,
  EPOCH_CHANGED: status.FAILED_PRECONDITION,
  WATCH_TOO_SLOW: status.RESOURCE_EXHAUSTED,
  STOPPING: status.UNAVAILABLE,
  CLIENT_GONE: status.CANCELLED,
  TOO_MANY_CALLS: status.RESOURCE_EXHAUSTED,
  TOO_MANY_WATCHES: status.RESOURCE_EXHAUSTED,
  TOO_MANY_HOLDERS: status.RESOURCE_EXHAUSTED,
  HOLDER_REPLACED: status.ABORTED,
  REQUEST_TOO_LARGE: status.RESOURCE_EXHAUSTED,
  ANSWERS_TOO_LARGE: status.RESOURCE_EXHAUSTED,
  REQUEST_TIMEOUT: status.DEADLINE_EXCEEDED,
  DEADLINE_PASSED: status.DEADLINE_EXCEEDED,
  TOO_MANY_CONNECTIONS: status.RESOURCE_EXHAUSTED,
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  DATABASE_UNAVAILABLE: status.UNAVAILABLE,
  INTERNAL: status.INTERNAL,
};

const DOMAIN = 'keyward';
const RETRY_AFTER_SECONDS = 1n;
/** What ends by itself, besides everything that is UNAVAILABLE. */
const PASSING: readonly Reason[] = ['TOO_MANY_CALLS', 'TOO_MANY_WATCHES', 'TOO_MANY_HOLDERS', 'OVERLOADED'];
/** gRPC implementations refuse header lists over 8 KiB; the details must leave room for the other headers. */
const MAX_DETAILS = 4096;

/** toKeywardError makes a KeywardError of whatever was thrown: INTERNAL with a fixed text for what nobody foresaw. */
export function toKeywardError(error: unknown, requestId: string): KeywardError {
  if (error instanceof KeywardError) return error;
  return new KeywardError('INTERNAL', 'A fault of the service; its log tells more under this request id.', {
    metadata: { request_id: requestId },
    cause: error,
  });
}

/** codeOf is the gRPC status code of an error. */
export function codeOf({ reason }: KeywardError): status {
  return STATUS[reason];
}

/** toStatus is the gRPC status of an error, with its google.rpc details. */
export function toStatus(error: KeywardError): StatusObject {
  const rpcStatus = toRpcStatus(error);
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from(Status.encode(rpcStatus).finish()));
  return { code: codeOf(error), details: rpcStatus.message, metadata };
}

/** toRpcStatus is the same as a message, for answers that hold the errors of their parts. */
export function toRpcStatus(error: KeywardError): Status {
  const code = codeOf(error);
  const message = error.message.slice(0, 1024);
  const info = ErrorInfo.encode({
    reason: error.reason,
    domain: DOMAIN,
    metadata: new Map(Object.entries(error.metadata)),
  });
  const details = [any('google.rpc.ErrorInfo', info.finish())];
  if (code === status.UNAVAILABLE || PASSING.includes(error.reason)) {
    const retry = RetryInfo.encode({ retryDelay: { seconds: RETRY_AFTER_SECONDS, nanos: 0 } });
    details.push(any('google.rpc.RetryInfo', retry.finish()));
  }
  if (error.reason === 'REQUEST_ALREADY_DONE') details.push(resourceInfo(error));
  let violations = error.violations;
  for (;;) {
    const all = violations.length === 0 ? details : [...details, badRequest(violations)];
    const rpcStatus = { code, message, details: all };
    if (violations.length === 0 || Status.encode(rpcStatus).finish().length <= MAX_DETAILS) return rpcStatus;
    violations = violations.slice(0, Math.floor(violations.length / 2));
  }
}

function resourceInfo({ metadata, message }: KeywardError): { typeUrl: string; value: Buffer } {
  const { resource_type: resourceType = '', record_locator: locator, id = '' } = metadata;
  const resource = { resourceType, resourceName: locator ?? id, owner: '', description: message };
  return any('google.rpc.ResourceInfo', ResourceInfo.encode(resource).finish());
}

function badRequest(violations: KeywardError['violations']): { typeUrl: string; value: Buffer } {
  const fieldViolations = violations.map(({ field, rule }) => ({
    field,
    description: rule,
    reason: '',
    localizedMessage: undefined,
  }));
  return any('google.rpc.BadRequest', BadRequest.encode({ fieldViolations }).finish());
}

function any(type: string, value: Uint8Array): { typeUrl: string; value: Buffer } {
  return { typeUrl: `type.googleapis.com/${type}`, value: Buffer.from(value) };
}
