import { status, type StatusObject } from '@grpc/grpc-js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BadRequest, ErrorInfo, RetryInfo } from '../../../src/gen/google/rpc/error_details.js';
import { Status } from '../../../src/gen/google/rpc/status.js';
import { ErrorReason } from '../../../src/gen/keyward/errors/v1/error_reason.js';
import { KeywardError, type FieldViolation, type Reason } from '../../../src/lib/errors.js';
import { toKeywardError, toStatus } from '../../../src/rpc/error-status.js';

const CODES: Readonly<Record<Reason, status>> = {
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
  DATABASE_UNAVAILABLE: status.UNAVAILABLE,
  REQUEST_TOO_LARGE: status.RESOURCE_EXHAUSTED,
  ANSWERS_TOO_LARGE: status.RESOURCE_EXHAUSTED,
  REQUEST_TIMEOUT: status.DEADLINE_EXCEEDED,
  DEADLINE_PASSED: status.DEADLINE_EXCEEDED,
  TOO_MANY_CONNECTIONS: status.RESOURCE_EXHAUSTED,
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  INTERNAL: status.INTERNAL,
};
const REASONS = Object.keys(CODES) as Reason[];
const MAX_HEADERS = 8192;

function details({ metadata }: StatusObject): Status {
  const [bytes] = metadata.get('grpc-status-details-bin');
  if (typeof bytes !== 'object') throw new Error('the status has no details');
  return Status.decode(bytes);
}

function detail(encoded: Status, type: string): Buffer | undefined {
  return encoded.details.find(({ typeUrl }) => typeUrl === `type.googleapis.com/google.rpc.${type}`)?.value;
}

test('the reasons are exactly those of the protocol', () => {
  const protocol = Object.keys(ErrorReason)
    .filter((name) => Number.isNaN(Number(name)))
    .map((name) => name.replace('ERROR_REASON_', ''))
    .filter((name) => name !== 'UNSPECIFIED');
  expect([...REASONS].sort()).toEqual(protocol.sort());
});

test.each(REASONS)('%s has its gRPC status, and details that tell the same', (reason) => {
  const error = new KeywardError(reason, 'What happened.', { metadata: { fact: 'é' } });
  const result = toStatus(error);
  expect(result).toMatchObject({ code: CODES[reason], details: 'What happened.' });
  const encoded = details(result);
  expect(encoded).toMatchObject({ code: CODES[reason], message: 'What happened.' });
  expect(ErrorInfo.decode(detail(encoded, 'ErrorInfo') ?? new Uint8Array())).toEqual({
    reason,
    domain: 'keyward',
    metadata: new Map([['fact', 'é']]),
  });
});

test('only what ends by itself tells when to try again', () => {
  const withRetry = REASONS.filter(
    (reason) => detail(details(toStatus(new KeywardError(reason, ''))), 'RetryInfo') !== undefined,
  );
  expect([...withRetry].sort()).toEqual([
    'DATABASE_UNAVAILABLE',
    'OVERLOADED',
    'STOPPING',
    'TOO_MANY_CALLS',
    'TOO_MANY_HOLDERS',
    'TOO_MANY_WATCHES',
  ]);
  const encoded = detail(details(toStatus(new KeywardError('DATABASE_UNAVAILABLE', ''))), 'RetryInfo');
  expect(RetryInfo.decode(encoded ?? new Uint8Array()).retryDelay).toEqual({ seconds: 1n, nanos: 0 });
});

describe('violations', () => {
  function violationsOf(violations: FieldViolation[]): { told: FieldViolation[]; bytes: number } {
    const message = violations.map(({ field, rule }) => `${field} ${rule}`).join('; ');
    const result = toStatus(new KeywardError('INVALID_FIELDS', message, { violations }));
    const encoded = detail(details(result), 'BadRequest');
    const told = BadRequest.decode(encoded ?? new Uint8Array()).fieldViolations;
    return {
      told: told.map(({ field, description }) => ({ field, rule: description })),
      bytes: headerBytes(result),
    };
  }

  test('all are told', () => {
    const violations = Array.from({ length: 40 }, (_, index) => ({
      field: `tags[${index}]`,
      rule: 'must not be empty',
    }));
    expect(violationsOf(violations).told).toEqual(violations);
  });

  test('as many as fit are told, from the first on, however many there are', () => {
    fc.assert(
      fc.property(fc.nat(4_000), fc.integer({ min: 1, max: 400 }), (count, length) => {
        const violations = Array.from({ length: count }, (_, index) => ({
          field: `f[${index}]`,
          rule: 'r'.repeat(length),
        }));
        const { told, bytes } = violationsOf(violations);
        expect(told).toEqual(violations.slice(0, told.length));
        expect(bytes).toBeLessThan(MAX_HEADERS);
        if (count > 0) expect(told.length).toBeGreaterThan(0);
      }),
      { numRuns: 50 },
    );
  });

  test('an error never outgrows what gRPC clients accept as headers', () => {
    const candidates = Array(100).fill('3f2504e0-4f89-41d3-9a0c-0305e82c3301').join(',');
    const result = toStatus(
      new KeywardError('NAME_AMBIGUOUS', 'x'.repeat(5_000), { metadata: { candidates } }),
    );
    expect(headerBytes(result)).toBeLessThan(MAX_HEADERS);
  });
});

describe('a fault that nobody foresaw', () => {
  const cause = new Error('canary: connection string postgres://keyward:canary@db');
  const error = toKeywardError(cause, 'request-1');

  test('is INTERNAL with a fixed text and the request id, and shows nothing of its cause', () => {
    const result = toStatus(error);
    expect(result.code).toBe(status.INTERNAL);
    expect(JSON.stringify([result.details, result.metadata.toJSON(), details(result)])).not.toContain(
      'canary',
    );
    expect(details(result).details[0]?.value.toString()).not.toContain('canary');
    expect(error.metadata).toEqual({ request_id: 'request-1' });
  });

  test('keeps its cause for the log', () => {
    expect(error.cause).toBe(cause);
  });

  test('a foreseen error stays what it is, and shows nothing of its cause', () => {
    const known = new KeywardError('DATABASE_UNAVAILABLE', 'The database cannot be reached.', { cause });
    expect(toKeywardError(known, 'request-1')).toBe(known);
    expect(Buffer.from(Status.encode(details(toStatus(known))).finish()).toString()).not.toContain('canary');
  });

  test.each([undefined, null, 'canary', 7, { canary: true }])('may be anything: %j', (thrown) => {
    expect(toKeywardError(thrown, 'r').reason).toBe('INTERNAL');
    expect(toKeywardError(thrown, 'r').message).not.toContain('canary');
  });
});

/** headerBytes is about what the status takes as HTTP/2 headers: binary ones travel as base64. */
function headerBytes({ details: message, metadata }: StatusObject): number {
  const [bytes] = metadata.get('grpc-status-details-bin');
  if (typeof bytes !== 'object') throw new Error('the status has no details');
  return encodeURIComponent(message).length + bytes.toString('base64').length;
}
