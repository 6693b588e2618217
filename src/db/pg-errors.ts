import { databaseUnavailable, KeywardError } from '../lib/errors.js';
import { codeOf } from '../lib/errno.js';

/** SQLSTATE codes, PostgreSQL documentation, appendix A. */
const UNIQUE_VIOLATION = '23505';
const FOREIGN_KEY_VIOLATION = '23503';
const SERIALIZATION_FAILURE = '40001';
const DEADLOCK_DETECTED = '40P01';
/** A statement that a connection has prepared is not what it was, is not there, or is there already. */
const STALE_STATEMENT_CODES: ReadonlySet<string> = new Set([
  '0A000', // the type of a column has changed since
  '26000', // no such statement
  '42P05', // a statement of this name is there
]);
/**
 * A message that the server cannot accept, as one with more values than 16 bits count: a fault of this program. Poolers
 * give the same code, FATAL, where they have no connection.
 */
const PROTOCOL_VIOLATION = '08P01';
/** A value cannot be read as its type, or lies outside its range. */
const DATA_EXCEPTION_CLASS = '22';
/** Classes of what lies with the server, the way to it or what others do, and passes: the same call may succeed later. */
const UNAVAILABLE_CLASSES: ReadonlySet<string> = new Set([
  '08', // connection
  '28', // authorization
  '40', // rolled back because of others, where that is not tried again here (isRetryable)
  '53', // resources
  '55', // not in the state for it: a database that takes no connections, a recovery, a lock that is not free
  '57', // operator
  '58', // the system under the server: its disk, its files
  '72', // what the transaction saw at its beginning is gone
  'F0', // configuration of the server
]);
const UNAVAILABLE_CODES: ReadonlySet<string> = new Set([
  '25006', // read-only transaction: a standby, as during a failover
  '25P03', // the transaction was idle for too long
  '25P04', // the transaction took too long
  '3D000', // the database does not exist (yet)
  '3F000', // the schema is not there (yet)
  '42501', // nothing is granted (yet), as during a restore
  '42704', // a type is not there (yet)
  '42883', // a function is not there (yet)
  '42P01', // a table is not there (yet)
  '42703', // a column is not there (yet)
  '42P10', // a constraint is not there (yet)
]);
/** Faults of the way to the server, as Node and the driver report them. */
const UNAVAILABLE_SYSTEM_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
  'EACCES',
  'KEYWARD_IMPOSTOR',
  'KEYWARD_SILENT',
]);
/** What Node says of a certificate that it does not accept, and of TLS that does not come about. */
const TLS_CODES = /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH)/;
// The driver and the pool give these no code; Knex puts the statement and " - " before those of the driver.
const UNAVAILABLE_MESSAGES =
  /(?:^| - )(?:Connection terminated|timeout expired|The server does not support SSL|There was an error establishing an SSL|SASL:|Knex: Timeout acquiring|Unable to acquire a connection|Client has encountered a connection error|Client was closed|aborted$)/;

/** sqlState is the SQLSTATE of a PostgreSQL error, undefined for anything else. */
function sqlState(error: unknown): string | undefined {
  const code = codeOf(error);
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** violatedUnique is the name of the unique constraint that a statement broke. */
export function violatedUnique(error: unknown): string | undefined {
  return sqlState(error) === UNIQUE_VIOLATION ? constraintOf(error) : undefined;
}

/** violatedForeignKey is the name of the foreign key that a statement broke. */
export function violatedForeignKey(error: unknown): string | undefined {
  return sqlState(error) === FOREIGN_KEY_VIOLATION ? constraintOf(error) : undefined;
}

export function isDataException(error: unknown): boolean {
  return sqlState(error)?.startsWith(DATA_EXCEPTION_CLASS) ?? false;
}

/** isRetryable tells whether running the whole transaction again may succeed. */
export function isRetryable(error: unknown): boolean {
  const state = sqlState(error);
  return state === SERIALIZATION_FAILURE || state === DEADLOCK_DETECTED;
}

/** hasStaleStatements tells whether a statement has failed, without effect, for what its connection has prepared. */
export function hasStaleStatements(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && STALE_STATEMENT_CODES.has(state);
}

/** isOutcomeUnknown tells of an error at COMMIT whether the change may be made all the same: the way to the server was lost. */
export function isOutcomeUnknown(error: unknown): boolean {
  const state = sqlState(error);
  return state === undefined || state.startsWith('08') || state.startsWith('57P');
}

/** translateDatabaseError makes DATABASE_UNAVAILABLE of what means that; other errors it returns as they are. */
export function translateDatabaseError(error: unknown): unknown {
  if (error instanceof KeywardError || !isUnavailable(error)) return error;
  return databaseUnavailable({ cause: error });
}

function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const state = sqlState(error);
  if (state === PROTOCOL_VIOLATION && !('severity' in error && error.severity === 'FATAL')) return false;
  if (state !== undefined && (UNAVAILABLE_CODES.has(state) || UNAVAILABLE_CLASSES.has(state.slice(0, 2))))
    return true;
  const code = codeOf(error);
  if (code === undefined ? UNAVAILABLE_MESSAGES.test(error.message) : isUnreachable(code)) return true;
  return error instanceof AggregateError && error.errors.some(isUnavailable);
}

function isUnreachable(code: string): boolean {
  return UNAVAILABLE_SYSTEM_CODES.has(code) || TLS_CODES.test(code);
}

function constraintOf(error: unknown): string {
  return error instanceof Error && 'constraint' in error ? String(error.constraint) : '';
}
