import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { failureLine } from '../../../src/cli/io/failure.js';
import { toCallError } from '../../../clients/node/src/transport/call-error.js';
import { ConfigError } from '../../../src/config.js';
import { KeywardError } from '../../../src/lib/errors.js';
import { toStatus } from '../../../src/rpc/error-status.js';

/** received is the error that the gRPC library hands to a client. */
function received(error: KeywardError): ServiceError {
  const { code, details, metadata } = toStatus(error);
  return Object.assign(new Error(`${code} ${details}`), { code, details, metadata });
}

test('a client gets all that the service said of an error', () => {
  const violations = [{ field: 'name', rule: 'is required' }];
  const error = toCallError(
    received(
      new KeywardError('INVALID_FIELDS', 'Invalid request.', { violations, metadata: { request_id: 'b' } }),
    ),
  );
  expect(error).toMatchObject({
    name: 'KeywardCallError',
    message: 'Invalid request.',
    code: status.INVALID_ARGUMENT,
    codeName: 'INVALID_ARGUMENT',
    reason: 'INVALID_FIELDS',
    metadata: new Map([['request_id', 'b']]),
    requestId: 'b',
    violations,
  });
});

test('an error that does not come from the service has no reason', () => {
  const lost: ServiceError = Object.assign(new Error('14 UNAVAILABLE'), {
    code: status.UNAVAILABLE,
    details: 'No connection established',
    metadata: new Metadata(),
  });
  expect(toCallError(lost)).toMatchObject({
    codeName: 'UNAVAILABLE',
    reason: '',
    violations: [],
    metadata: new Map(),
  });
});

test.each<[string, unknown, string]>([
  [
    'a refused call',
    toCallError(received(new KeywardError('NOT_FOUND', 'There is no such token.'))),
    'keyward: NOT_FOUND (NOT_FOUND): There is no such token.',
  ],
  [
    'wrong settings',
    new ConfigError('The settings are wrong:\n  A must be b'),
    'keyward: The settings are wrong:\n  A must be b',
  ],
  [
    'an unreachable database',
    new KeywardError('DATABASE_UNAVAILABLE', 'The database cannot be reached.', {
      cause: new AggregateError([
        new Error('connect ECONNREFUSED 127.0.0.1:1'),
        new Error('connect ECONNREFUSED ::1:1'),
      ]),
    }),
    'keyward: The database cannot be reached.: Error: connect ECONNREFUSED 127.0.0.1:1; Error: connect ECONNREFUSED ::1:1',
  ],
  ['any other failure', new Error('first line\nsecond line'), 'keyward: first line'],
  ['what is no error', 'text', 'keyward: text'],
])('the command line tells of %s in a line, without a stack', (_, error, line) => {
  expect(failureLine(error)).toBe(line);
});
