/**
 * `rpc/` is the transport: the front door that judges a call by its headers, the chain of interceptors that every call
 * goes through, and the translation of errors. It knows no resource: handlers are given to it.
 *
 *     const handle = chain(dependencies, path, { permission, handle: (request, caller) => response });
 */

import { randomUUID } from 'node:crypto';
import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';
import type { Caller } from '../authz/caller.js';
import { databaseUnavailable, KeywardError, scopeMissing } from '../lib/errors.js';
import { covers, firstNotCovered } from '../lib/scopes.js';
import {
  authorizationOf,
  type Authenticated,
  type AuthenticationLog,
  type Authenticator,
  type Credentials,
} from './authenticator.js';
import { callEnded, type CallLog } from './call-log.js';
import type { CallerLimits } from './caller-limits.js';
import { toKeywardError, toStatus } from './error-status.js';
import type { Admission } from './front-door/method-rules.js';
import { admissionOf } from './front-door/guarded-stream.js';
import type { Handler, Requirements, StreamHandler } from './handlers.js';
import { answerEach, type BidirectionalCall } from './bidirectional-call.js';
import { sendAll, type Outlet } from './send-all.js';

/** Call is one call on its way through the chain. */
interface Call extends Credentials {
  readonly path: string;
  /** Of `performance.now()`. */
  readonly startedAt: number;
  readonly request: unknown;
  /** What the front door knows of it. */
  readonly admission: Admission | undefined;
  /** Where a stream's messages go. */
  readonly outlet?: Outlet<unknown>;
  /** What a conversation is held over. */
  readonly bidirectional?: BidirectionalCall<unknown, unknown>;
  /** Set by `authenticate`. */
  caller?: Caller;
  /** isGone tells whether the client has gone, or its deadline has passed. */
  readonly isGone: () => boolean;
  /** Set when the client has gone before the end of a stream. */
  isCancelled?: boolean;
}

type Step = (call: Call) => Promise<unknown>;

/** Interceptor wraps the steps after it. */
type Interceptor = (next: Step, method: Requirements) => Step;

export interface ChainDependencies extends CallLog {
  readonly authenticator: Authenticator;
  readonly authentications: AuthenticationLog;
  readonly limits: CallerLimits;
  /** Aborted when streams that have no end of their own must end, with the error that they end in. */
  readonly stopping: AbortSignal;
  /** Whether calls that memory can answer are answered in the place of the library. */
  readonly fastLane: boolean;
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
 * 0. `countWork` counts the call as work until all is done, even if its client has gone before.
 * 1. `accessLog` sees, logs and counts every call, refused ones too, with the status it ended in.
 * 2. `explainFaults` makes a KeywardError of every fault, so that what is outside it only meets those.
 * 3. `authenticate` judges the credentials, where the front door did not do so with the request at hand. It comes
 *    before the request is looked at: strangers learn nothing from error messages. A caller who is known by a stale
 *    answer alone may have been shut out meanwhile, and is served by a few methods only.
 * 4. `limitCaller` comes as soon as the caller is known, and before anything asks the database for that caller. A call
 *    that is answered from memory never comes here, and is not counted.
 * 5. `authorize` refuses credentials without the method's scopes, whatever the request names.
 * 6. `refuseMalformed` is last, as its answer is about the request.
 */
function interceptors(dependencies: ChainDependencies): readonly Interceptor[] {
  const { authenticator, authentications, limits, ...log } = dependencies;
  const countWork: Interceptor = (next) => async (call) => {
    const end = call.admission?.work?.hold();
    try {
      return await next(call);
    } finally {
      end?.();
    }
  };

  const accessLog: Interceptor = (next) => async (call) => {
    try {
      const response = await next(call);
      callEnded(log, call, call.startedAt, undefined);
      return response;
    } catch (error) {
      callEnded(log, call, call.startedAt, toKeywardError(error, call.requestId));
      throw error;
    }
  };

  const explainFaults: Interceptor = (next) => async (call) => {
    try {
      return await next(call);
    } catch (error) {
      throw toKeywardError(error, call.requestId);
    }
  };

  const authenticate: Interceptor = (next, method) => async (call) => {
    const caller = known(await authenticated(call), call, method);
    call.caller = caller;
    authentications.succeeded(caller);
    return next(call);
  };

  const authenticated = async (call: Call): Promise<Authenticated> => {
    const found = call.admission?.judged?.found;
    if (found !== undefined) return found;
    try {
      return await authenticator.authenticate(call);
    } catch (error) {
      const isRefused = error instanceof KeywardError && error.reason === 'CREDENTIALS_REFUSED';
      if (isRefused) authentications.failed(call.peer);
      throw error;
    }
  };

  const limitCaller: Interceptor = (next, method) => async (call) => {
    const { userId } = callerOf(call);
    const lasts = call.outlet !== undefined || call.bidirectional !== undefined;
    const end = lasts ? limits.beginStream(userId) : limits.beginCall(userId, method.weight);
    try {
      return await next(call);
    } finally {
      end();
    }
  };

  const authorize: Interceptor = (next, method) => async (call) => {
    const caller = callerOf(call);
    if (missingScope(caller, method) !== undefined) await method.onMissingScope?.(caller);
    requireScopes(caller, method);
    return next(call);
  };

  const refuseMalformed: Interceptor = (next) => async (call) => {
    requireWellFormed(call.request);
    return next(call);
  };

  return [countWork, accessLog, explainFaults, authenticate, limitCaller, authorize, refuseMalformed];
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
        const failure = toKeywardError(error, '');
        const answer = method.answerFailure?.(failure);
        if (answer === undefined) callback(toStatus(failure));
        else callback(null, answer);
      },
    );
  };
}

/** Arrived is a call that has come by another way than gRPC, whole. */
export interface Arrived<Request> extends Credentials {
  readonly request: Request | Malformed;
  /** isGone tells whether the client has gone. */
  readonly isGone: () => boolean;
}

/** directChain makes the same of a method whose calls come by another way. `path` is what they are called in the log. */
export function directChain<Request, Response>(
  dependencies: ChainDependencies,
  path: string,
  method: Handler<Request, Response>,
): (arrived: Arrived<Request>) => Promise<Response> {
  const first = compose(dependencies, method, (call) =>
    method.handle(call.request as Request, callerOf(call)),
  );
  return async (arrived) =>
    (await first({ ...arrived, path, startedAt: performance.now(), admission: undefined })) as Response;
}

/** streamChain is the same for a method that answers with a stream, which is one call from its begin to its end. */
export function streamChain<Request, Response>(
  dependencies: ChainDependencies,
  path: string,
  method: StreamHandler<Request, Response>,
): handleServerStreamingCall<Request, Response> {
  const first = compose(dependencies, method, async (call) => {
    if (call.outlet === undefined) throw new Error('a stream reached its handler without an outlet');
    const gone = new AbortController();
    call.outlet.once('cancelled', () => {
      gone.abort();
    });
    const live = { reauthorize: () => reauthorize(dependencies, call, method), gone: gone.signal };
    const messages = method.stream(call.request as Request, callerOf(call), live);
    call.isCancelled = (await sendAll(messages, call.outlet)) === 'cancelled';
  });
  return (stream) => {
    first({ ...toCall(path, stream), outlet: stream }).then(
      () => {
        stream.end();
      },
      (error: unknown) => {
        stream.emit('error', toStatus(toKeywardError(error, '')));
      },
    );
  };
}

/**
 * conversationChain is the same for a method that answers each message of a stream. The credentials are judged anew with
 * each: from memory, if that can tell, and otherwise as at the beginning.
 */
export function conversationChain<Request, Response>(
  dependencies: ChainDependencies,
  path: string,
  method: Handler<Request, Response>,
): handleBidiStreamingCall<Request, Response> {
  const { authenticator, stopping } = dependencies;
  const first = compose(dependencies, method, async (call) => {
    const fault = call.admission?.fault?.signal;
    const interruptions = fault === undefined ? [stopping] : [stopping, fault];
    if (call.bidirectional === undefined)
      throw new Error('a conversation reached its handler without a stream');
    const answer = (message: unknown): unknown => {
      requireWellFormed(message);
      const request = message as Request;
      const known = authenticator.authenticateFromMemory(call.authorization);
      if (known === undefined || missingScope(known, method) !== undefined) {
        return reauthorize(dependencies, call, method).then((caller) => method.handle(request, caller));
      }
      return method.answerFromMemory?.(request) ?? method.handle(request, callerOf(call));
    };
    call.isCancelled = (await answerEach(call.bidirectional, answer, interruptions)) === 'cancelled';
  });
  return (stream) => {
    first({ ...toCall(path, stream), bidirectional: stream }).then(
      () => {
        stream.end();
      },
      (error: unknown) => {
        stream.emit('error', toStatus(toKeywardError(error, '')));
      },
    );
  };
}

/** reauthorize gives the caller of a call that has been under way for a while as it is by now. */
export async function reauthorize(
  { authenticator }: ChainDependencies,
  call: Call,
  method: Requirements,
): Promise<Caller> {
  const caller = known(await authenticator.authenticate(call), call, method);
  requireScopes(caller, method);
  return caller;
}

/** known refuses a caller who may have been shut out meanwhile, unless the method serves such. */
function known(
  { caller, stale }: Authenticated,
  { isGone }: Call,
  { servesStaleCallers }: Requirements,
): Caller {
  if (stale && servesStaleCallers !== true) throw databaseUnavailable();
  return { ...caller, isGone };
}

/** missingScope is the first scope that a method needs and a caller lacks. */
function missingScope(
  { scopes }: Pick<Caller, 'scopes'>,
  { permission, alsoNeeds }: Requirements,
): string | undefined {
  const possible = typeof permission === 'string' ? [permission] : permission.byRequest;
  if (!possible.some((scope) => covers(scopes, scope))) return possible[0];
  return alsoNeeds && firstNotCovered(scopes, alsoNeeds);
}

function requireScopes(caller: Caller, method: Requirements): void {
  const scope = missingScope(caller, method);
  if (scope !== undefined) throw scopeMissing(scope);
}

export function requireWellFormed(request: unknown): void {
  if (!(request instanceof Malformed)) return;
  throw new KeywardError('MALFORMED_REQUEST', 'The request is not a message of the expected type.', {
    cause: request.cause,
  });
}

export function compose(dependencies: ChainDependencies, method: Requirements, innermost: Step): Step {
  return interceptors(dependencies).reduceRight((next, intercept) => intercept(next, method), innermost);
}

export function callerOf({ caller }: Call): Caller {
  if (caller === undefined) throw new Error('a call reached its handler without a caller');
  return caller;
}

export function toCall(
  path: string,
  call:
    | ServerUnaryCall<unknown, unknown>
    | ServerWritableStream<unknown, unknown>
    | ServerDuplexStream<unknown, unknown>,
): Call {
  const admission = admissionOf(call);
  const { requestId, startedAt } = admission?.judged ?? {
    requestId: randomUUID(),
    startedAt: performance.now(),
  };
  return {
    path,
    requestId,
    startedAt,
    admission,
    peer: call.getPeer(),
    request: 'request' in call ? call.request : undefined,
    authorization: authorizationOf(call.metadata),
    authContext: call.getAuthContext(),
    isGone: () => call.cancelled,
  };
}
