import type { KeywardCallError } from './call-error.js';
import { StatusCode } from './status-code.js';

/** Methods that change nothing. AccessSecret records who got a value, and does so for each answer. */
const READS = /\/(?:Get|List|Validate|BatchValidate|Access|BatchAccess|Resolve)[A-Za-z]+$/;

/** Those of calls that go through any number of rows, and of all others. */
const LONG_TIMEOUT_MS = 300_000;
const DEFAULT_TIMEOUT_MS = 10_000;
const LONG_METHOD = /\/(?:RevokeUserTokens|DeleteUser|DeleteUserProfile|DeleteAccount)$/;

/** The first wait before a call is tried again, and the longest; each is twice the one before. */
const FIRST_WAIT_MS = 50;
const MAX_WAIT_MS = 1_000;

/** timeoutOf is how many milliseconds a call of a method may take where nobody says; `usual` for most of them. */
export function timeoutOf(path: string, usual = DEFAULT_TIMEOUT_MS): number {
  return LONG_METHOD.test(path) ? LONG_TIMEOUT_MS : usual;
}

/** mayRepeat tells whether a call that may have been done already does no harm when it is made again. */
export function mayRepeat(path: string, request: object): boolean {
  const { requestId, validateOnly } = request as { requestId?: unknown; validateOnly?: unknown };
  return READS.test(path) || validateOnly === true || (typeof requestId === 'string' && requestId !== '');
}

/** isPassing tells failures that may be over soon: the server is not reached, is being stopped, or lacks its database. */
export function isPassing(error: KeywardCallError): boolean {
  return error.code === StatusCode.UNAVAILABLE && !error.message.startsWith('the server speaks no TLS');
}

/** backoffMs is how long is waited before something is tried for the n-th time again, beginning with 0. */
export function backoffMs(attempt: number, maxMs: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** attempt, maxMs);
}

/** waitMs is that for a call, spread by a fifth. */
export function waitMs(attempt: number, random: number): number {
  return backoffMs(attempt, MAX_WAIT_MS) * (0.8 + 0.4 * random);
}
