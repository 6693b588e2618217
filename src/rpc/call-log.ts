import { status } from '@grpc/grpc-js';
import type { Caller } from '../authz/caller.js';
import type { KeywardError } from '../lib/errors.js';
import type { CallMetrics } from '../telemetry/call-metrics.js';
import type { Logger } from '../telemetry/logger.js';
import { codeOf } from './error-status.js';

/** CallLog is where calls are counted and logged. */
export interface CallLog {
  readonly logger: Logger;
  readonly calls: Pick<CallMetrics, 'ended' | 'answeredAtOnce'>;
}

/** LoggedCall is what is told of a call: who called what. Never the request, the response or the credentials. */
export interface LoggedCall {
  readonly path: string;
  readonly requestId: string;
  readonly peer: string;
  readonly caller?: Caller;
  /** True if the client went before the end of a stream. */
  readonly isCancelled?: boolean;
}

/** callEnded counts and logs a call, with the status that it ended in. `startedAt` is of `performance.now()`. */
export function callEnded(
  { calls, logger }: CallLog,
  call: LoggedCall,
  startedAt: number,
  failure: KeywardError | undefined,
): void {
  const code = status[codeOfCall(call, failure)];
  const ms = performance.now() - startedAt;
  calls.ended(call.path, code, ms / 1000);
  logAccess(logger, call, code, ms, failure);
}

function logAccess(
  logger: Logger,
  call: LoggedCall,
  code: string,
  ms: number,
  failure: KeywardError | undefined,
): void {
  const level =
    failure?.reason === 'INTERNAL' ? 'error' : failure?.reason === 'DATABASE_UNAVAILABLE' ? 'warn' : 'debug';
  if (!logger.isLevelEnabled(level)) return;
  const { path, requestId, peer, caller } = call;
  const entry = {
    method: path,
    code,
    reason: failure?.reason,
    request_id: requestId,
    peer,
    key_id: caller?.keyId,
    username: caller?.username,
    ms: Math.round(ms * 1000) / 1000,
    err: failure?.cause,
  };
  logger[level](entry, 'call');
}

function codeOfCall({ isCancelled }: LoggedCall, failure: KeywardError | undefined): status {
  if (failure !== undefined) return codeOf(failure);
  return isCancelled === true ? status.CANCELLED : status.OK;
}
