import { randomUUID } from 'node:crypto';
import { status, type handleUnaryCall, type ServerUnaryCall } from '@grpc/grpc-js';
import type { Caller } from '../account/caller.js';
import { KeywardError } from '../lib/errors.js';
import { covers } from '../lib/scopes.js';
import type { Logger } from '../telemetry/logger.js';
import type { Authenticator, Credentials } from './auth.js';
import { codeOf, foreseen, toStatus } from './error-status.js';
import type { Handler } from './handlers.js';

/** Call is one call on its way through the chain. */
interface Call extends Credentials {
  readonly path: string;
  readonly requestId: string;
  readonly peer: string;
  readonly request: unknown;
  /** Set by `authenticate`. */
  caller?: Caller;
}

type Step = (call: Call) => Promise<unknown>;

/** Interceptor wraps the steps after it. */
type Interceptor = (next: Step, method: Handler<never, unknown>) => Step;

export interface ChainDependencies {
  readonly authenticator: Authenticator;
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
function interceptors({ authenticator, logger }: ChainDependencies): readonly Interceptor[] {
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
    call.caller = await authenticator.authenticate(call);
    return next(call);
  };

  const authorize: Interceptor =
    (next, { permission }) =>
    async (call) => {
      if (call.caller === undefined || !covers(call.caller.scopes, permission)) {
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
  const innermost: Step = async ({ request, caller }) => {
    if (caller === undefined) throw new Error('a call reached its handler without a caller');
    return method.handle(request as Request, caller);
  };
  const first = interceptors(dependencies).reduceRight(
    (next, intercept) => intercept(next, method),
    innermost,
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

function toCall(path: string, call: ServerUnaryCall<unknown, unknown>): Call {
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
    code: status[failure === undefined ? status.OK : codeOf(failure)],
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
