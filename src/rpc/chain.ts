import { randomUUID } from 'node:crypto';
import {
  status,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import type { Caller } from '../account/caller.js';
import type { AuthenticationLog } from '../audit/authentication-log.js';
import { KeywardError } from '../lib/errors.js';
import { covers } from '../lib/scopes.js';
import type { Logger } from '../telemetry/logger.js';
import type { Authenticator, Credentials } from './auth.js';
import { codeOf, foreseen, toStatus } from './error-status.js';
import type { Handler, StreamHandler } from './handlers.js';
import { sendAll, type Outlet } from './send-all.js';

/** Call is one call on its way through the chain. */
interface Call extends Credentials {
  readonly path: string;
  readonly request: unknown;
  /** Where a stream's messages go. */
  readonly outlet?: Outlet<unknown>;
  /** Set by `authenticate`. */
  caller?: Caller;
  /** Set when the client has gone before the end of a stream. */
  isCancelled?: boolean;
}

type Step = (call: Call) => Promise<unknown>;

/** Interceptor wraps the steps after it. */
type Interceptor = (next: Step, method: Authorized) => Step;

/** Authorized is a handler as `authorize` knows it. */
type Authorized = Pick<Handler<unknown, unknown>, 'permission' | 'onMissingScope'>;

export interface ChainDependencies {
  readonly authenticator: Authenticator;
  readonly authentications: Pick<AuthenticationLog, 'succeeded' | 'failed'>;
  readonly logger: Logger;
}

/** Malformed stands for a request whose bytes could not be decoded. */
export class Malformed {
  readonly cause: unknown;
  constructor(cause: unknown) {
    this.cause = cause;
  }
}

/**
 * The interceptors in their order, outermost first:
 *
 * 1. `accessLog` sees every call, refused ones too, with the status it ended in.
 * 2. `explainFaults` makes a foreseen error of every fault, so that what is outside it only meets those.
 * 3. `authenticate` comes before the request is looked at: strangers learn nothing from error messages.
 * 4. `authorize` refuses credentials without the method's scope, whatever the request names.
 * 5. `refuseMalformed` is last, as its answer is about the request.
 */
function interceptors({ authenticator, authentications, logger }: ChainDependencies): readonly Interceptor[] {
  const accessLog: Interceptor = (next) => async (call) => {
    const startedAt = performance.now();
    try {
      const response = await next(call);
      logAccess(logger, call, startedAt, undefined);
      return response;
    } catch (error) {
      logAccess(logger, call, startedAt, error);
      throw error;
    }
  };

  const explainFaults: Interceptor = (next) => async (call) => {
    try {
      return await next(call);
    } catch (error) {
      throw foreseen(error, call.requestId);
    }
  };

  const authenticate: Interceptor = (next) => async (call) => {
    try {
      call.caller = await authenticator.authenticate(call);
    } catch (error) {
      const isRefused = error instanceof KeywardError && error.reason === 'CREDENTIALS_REFUSED';
      if (isRefused) authentications.failed(call.peer);
      throw error;
    }
    authentications.succeeded(call.caller);
    return next(call);
  };

  const authorize: Interceptor =
    (next, { permission, onMissingScope }) =>
    async (call) => {
      const caller = callerOf(call);
      if (!covers(caller.scopes, permission)) {
        await onMissingScope?.(caller);
        throw new KeywardError('SCOPE_MISSING', `The credentials lack the scope ${permission}.`, {
          metadata: { required_scope: permission },
        });
      }
      return next(call);
    };

  const refuseMalformed: Interceptor = (next) => async (call) => {
    if (call.request instanceof Malformed) {
      throw new KeywardError('MALFORMED_REQUEST', 'The request is not a message of the expected type.', {
        cause: call.request.cause,
      });
    }
    return next(call);
  };

  return [accessLog, explainFaults, authenticate, authorize, refuseMalformed];
}

/** chain makes the library's handler of a method: all interceptors, then the handler itself. */
export function chain<Request, Response>(
  dependencies: ChainDependencies,
  path: string,
  method: Handler<Request, Response>,
): handleUnaryCall<Request, Response> {
  const first = compose(dependencies, method, (call) =>
    method.handle(call.request as Request, callerOf(call)),
  );
  return (unaryCall, callback) => {
    first(toCall(path, unaryCall)).then(
      (response) => {
        callback(null, response as Response);
      },
      (error: unknown) => {
        callback(toStatus(foreseen(error, '')));
      },
    );
  };
}

/** streamChain is the same for a method that answers with a stream, which is one call from its begin to its end. */
export function streamChain<Request, Response>(
  dependencies: ChainDependencies,
  path: string,
  method: StreamHandler<Request, Response>,
): handleServerStreamingCall<Request, Response> {
  const first = compose(dependencies, method, async (call) => {
    if (call.outlet === undefined) throw new Error('a stream reached its handler without an outlet');
    const messages = method.stream(call.request as Request, callerOf(call));
    call.isCancelled = (await sendAll(messages, call.outlet)) === 'cancelled';
  });
  return (stream) => {
    first({ ...toCall(path, stream), outlet: stream }).then(
      () => {
        stream.end();
      },
      (error: unknown) => {
        stream.emit('error', toStatus(foreseen(error, '')));
      },
    );
  };
}

function compose(dependencies: ChainDependencies, method: Authorized, innermost: Step): Step {
  return interceptors(dependencies).reduceRight((next, intercept) => intercept(next, method), innermost);
}

function callerOf({ caller }: Call): Caller {
  if (caller === undefined) throw new Error('a call reached its handler without a caller');
  return caller;
}

function toCall(
  path: string,
  call: ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>,
): Call {
  return {
    path,
    requestId: randomUUID(),
    peer: call.getPeer(),
    request: call.request,
    metadata: call.metadata,
    authContext: call.getAuthContext(),
  };
}

/** logAccess never writes requests, responses or credentials: only who called what, and how it ended. */
function logAccess(logger: Logger, call: Call, startedAt: number, error: unknown): void {
  const failure = error === undefined ? undefined : foreseen(error, call.requestId);
  const level =
    failure?.reason === 'INTERNAL' ? 'error' : failure?.reason === 'DATABASE_UNAVAILABLE' ? 'warn' : 'debug';
  if (!logger.isLevelEnabled(level)) return;
  const { path, requestId, peer, caller } = call;
  const entry = {
    method: path,
    code: status[codeOfCall(call, failure)],
    reason: failure?.reason,
    request_id: requestId,
    peer,
    key_id: caller?.keyId,
    username: caller?.username,
    ms: Math.round((performance.now() - startedAt) * 1000) / 1000,
    err: failure?.cause,
  };
  logger[level](entry, 'call');
}

function codeOfCall({ isCancelled }: Call, failure: KeywardError | undefined): status {
  if (failure !== undefined) return codeOf(failure);
  return isCancelled === true ? status.CANCELLED : status.OK;
}
