/** Reason is the cause of a failed call, as `keyward.errors.v1.ErrorReason` names it without its prefix. */
export type Reason =
  | 'INVALID_FIELDS'
  | 'MALFORMED_REQUEST'
  | 'CREDENTIALS_REFUSED'
  | 'SCOPE_MISSING'
  | 'NOT_PERMITTED'
  | 'SCOPE_NOT_HELD'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'REQUEST_ALREADY_DONE'
  | 'ETAG_MISMATCH'
  | 'CONFLICT'
  | 'OWNER_NOT_STAFF'
  | 'NAME_AMBIGUOUS'
  | 'RESOURCE_IN_USE'
  | 'PLATFORM_ACCOUNT'
  | 'SECRET_EXPIRED'
  | 'SECRET_UNDECRYPTABLE'
  | 'SECRET_MISPLACED'
  | 'SECRET_REFERENCED'
  | 'TOO_MANY_REFERENCES'
  | 'VERSION_NOT_ENABLED'
  | 'NOT_DELETED'
  | 'REVISION_TOO_OLD'
  | 'REVISION_IN_FUTURE'
  | 'EPOCH_CHANGED'
  | 'WATCH_TOO_SLOW'
  | 'STOPPING'
  | 'CLIENT_GONE'
  | 'TOO_MANY_CALLS'
  | 'TOO_MANY_WATCHES'
  | 'TOO_MANY_HOLDERS'
  | 'HOLDER_REPLACED'
  | 'REQUEST_TOO_LARGE'
  | 'ANSWERS_TOO_LARGE'
  | 'REQUEST_TIMEOUT'
  | 'TOO_MANY_CONNECTIONS'
  | 'OVERLOADED'
  | 'DEADLINE_PASSED'
  | 'DATABASE_UNAVAILABLE'
  | 'INTERNAL';

/** FieldViolation tells which field of a request breaks which rule. It never holds the field's value. */
export interface FieldViolation {
  /** Path of the field as in the proto, for example `token.tags[3]`. */
  readonly field: string;
  readonly rule: string;
}

interface ErrorDetails {
  /** Machine-readable facts for the client. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly violations?: readonly FieldViolation[];
  /** What went wrong beneath: for the log, never for the client. */
  readonly cause?: unknown;
}

/** KeywardError is every failure that the service foresees; `rpc/error-status.ts` maps it to a gRPC status. */
export class KeywardError extends Error {
  override readonly name = 'KeywardError';
  readonly reason: Reason;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];

  constructor(reason: Reason, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.reason = reason;
    this.metadata = details.metadata ?? {};
    this.violations = details.violations ?? [];
  }
}

/** notFound is the one answer for a resource that does not exist and for one that the caller may not read. */
export function notFound(kind: string): KeywardError {
  return new KeywardError('NOT_FOUND', `There is no such ${kind}.`);
}

/** notPermitted is for a resource that the caller knows of but may not treat so. */
export function notPermitted(message: string): KeywardError {
  return new KeywardError('NOT_PERMITTED', message);
}

/** scopeMissing is for credentials that lack a scope which the call needs, whatever the caller's rights. */
export function scopeMissing(scope: string): KeywardError {
  return new KeywardError('SCOPE_MISSING', `The credentials lack the scope ${scope}.`, {
    metadata: { required_scope: scope },
  });
}

/** alreadyExists names the field whose unique value is taken. */
export function alreadyExists(kind: string, field: string): KeywardError {
  return new KeywardError('ALREADY_EXISTS', `There is a ${kind} with this ${field.replaceAll('_', ' ')}.`, {
    metadata: { field },
  });
}

/** requestAlreadyDone tells what a call has led to that is sent again. `locator` is for kinds that have one. */
export function requestAlreadyDone(
  kind: string,
  id: bigint,
  locator: string | undefined,
  version: number | undefined,
): KeywardError {
  const metadata = {
    resource_type: kind,
    id: String(id),
    ...(locator === undefined ? {} : { record_locator: locator }),
    ...(version === undefined ? {} : { version: String(version) }),
  };
  const message = 'The call with this request id was done before; nothing was changed.';
  return new KeywardError('REQUEST_ALREADY_DONE', message, { metadata });
}

/** requestIdReused is for an id that stands for a call of another method. */
export function requestIdReused(): KeywardError {
  const violations = [{ field: 'request_id', rule: 'was used for a call of another method' }];
  return new KeywardError(
    'INVALID_FIELDS',
    'Invalid request: request_id was used for a call of another method.',
    {
      violations,
    },
  );
}

/** etagMismatch is for a change that was decided on an older state of the resource. */
export function etagMismatch(kind: string): KeywardError {
  return new KeywardError('ETAG_MISMATCH', `The ${kind} has changed since this etag was read.`);
}

export function databaseUnavailable(options: { readonly cause?: unknown } = {}): KeywardError {
  return new KeywardError('DATABASE_UNAVAILABLE', 'The database cannot be reached.', options);
}

/** Client is who waits for what a call does. */
export interface Client {
  readonly isGone: () => boolean;
  /** True for one that only asks whether the call would succeed: nothing is committed for it. */
  readonly validatesOnly?: true;
}

/** Validated ends a call that would succeed, in the place of its commit. It is no error: no client sees it. */
export class Validated extends Error {
  override readonly name = 'Validated';
}

/** clientGone is for what is not done because nobody waits for it any more. No client sees it; logs do. */
export function clientGone(): KeywardError {
  return new KeywardError('CLIENT_GONE', 'The client has gone; nothing was changed.');
}

/** stopping is how streams end that have no end of their own. */
export function stopping(): KeywardError {
  return new KeywardError('STOPPING', 'The service is being stopped.');
}

/** credentialsRefused has one text for every cause. */
export function credentialsRefused(): KeywardError {
  return new KeywardError('CREDENTIALS_REFUSED', 'Valid credentials are required.');
}

/** requestTooLarge names the method's limit. */
export function requestTooLarge(mostBytes: number): KeywardError {
  return new KeywardError('REQUEST_TOO_LARGE', `The request is larger than ${mostBytes} bytes.`, {
    metadata: { limit_bytes: String(mostBytes) },
  });
}

/** answersTooLarge is for a batch whose answers are more than a message may take; those to the first `fitting` are not. */
export function answersTooLarge(fitting: number): KeywardError {
  const message = `The answers take too many bytes; those to the first ${fitting} of the requests do not.`;
  return new KeywardError('ANSWERS_TOO_LARGE', message, { metadata: { fitting: String(fitting) } });
}

/** tooMuchUnfinished is for a caller who begins many requests and does not complete them. */
export function tooMuchUnfinished(): KeywardError {
  return new KeywardError('REQUEST_TOO_LARGE', 'The caller has begun too much that is not complete.');
}

/** requestTimeout is for a request that did not come whole in time. */
export function requestTimeout(seconds: number): KeywardError {
  return new KeywardError('REQUEST_TIMEOUT', `The request was not complete after ${seconds} seconds.`, {
    metadata: { limit_seconds: String(seconds) },
  });
}

/** openCallsTooLarge is for calls that need no credentials: of one connection, all of them together. */
export function openCallsTooLarge(mostBytes: number): KeywardError {
  const message = `Calls without credentials take more than ${mostBytes} bytes on this connection.`;
  return new KeywardError('REQUEST_TOO_LARGE', message, { metadata: { limit_bytes: String(mostBytes) } });
}

/** overloaded is for calls that would be worked on beside too many others. */
export function overloaded(): KeywardError {
  return new KeywardError(
    'OVERLOADED',
    'The service works on as many calls as it may. Try again in a moment.',
  );
}

export function tooManyConnections(): KeywardError {
  return new KeywardError('TOO_MANY_CONNECTIONS', 'The service has as many connections as it may have.');
}
