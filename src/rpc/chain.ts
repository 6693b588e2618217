import { randomUUID } from 'node:crypto';
import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';
import type { Caller } from '../account/caller.js';
import type { AuthenticationLog } from '../audit/authentication-log.js';
import { databaseUnavailable, KeywardError } from '../lib/errors.js';
import { covers, type Permission } from '../lib/scopes.js';
import { authorizationOf, type Authenticated, type Authenticator, type Credentials } from './auth.js';
import { callEnded, type CallLog } from './call-log.js';
import { foreseen, toStatus } from './error-status.js';
import type { Admission } from './front-door/admission.js';
import { admissionOf } from './front-door/request-body.js';
import type { Handler, Requirements, StreamHandler } from './handlers.js';
import { converse, type Talk } from './conversation.js';
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
  readonly talk?: Talk<unknown, unknown>;
  /** Set by `authenticate`. */
  caller?: Caller;
  /** Set when the client has gone before the end of a stream. */
  isCancelled?: boolean;
}

type Step = (call: Call) => Promise<unknown>;

/** Interceptor wraps the steps after it. */
type Interceptor = (next: Step, method: Requirements) => Step;

export interface ChainDependencies extends CallLog {
  readonly authenticator: Authenticator;
  readonly authentications: Pick<AuthenticationLog, 'succeeded' | 'failed'>;
  /** Aborted when streams that have no end of their own must end, with the error that they end in. */
  readonly stopping: AbortSignal;
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
 * 1. `accessLog` sees, logs and counts every call, refused ones too, with the status it ended in.
 * 2. `explainFaults` makes a foreseen error of every fault, so that what is outside it only meets those.
 * 3. `authenticate` judges the credentials, where the front door did not do so with the request at hand. It comes before the request is looked at: strangers learn nothing from error messages. A caller who
 *    is known by a stale answer alone may have been shut out meanwhile, and is served by a few methods only.
 * 4. `authorize` refuses credentials without the method's scope, whatever the request names.
 * 5. `refuseMalformed` is last, as its answer is about the request.
 */
function interceptors(dependencies: ChainDependencies): readonly Interceptor[] {
  const { authenticator, authentications, ...log } = dependencies;
  const accessLog: Interceptor = (next) => async (call) => {
    try {
      const response = await next(call);
      callEnded(log, call, call.startedAt, undefined);
      return response;
    } catch (error) {
      callEnded(log, call, call.startedAt, foreseen(error, call.requestId));
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

  const authenticate: Interceptor = (next, method) => async (call) => {
    const caller = known(await authenticated(call), method);
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

  const authorize: Interceptor =
    (next, { permission, onMissingScope }) =>
    async (call) => {
      const caller = callerOf(call);
      if (!covers(caller.scopes, permission)) await onMissingScope?.(caller);
      requireScope(caller, permission);
      return next(call);
    };

  const refuseMalformed: Interceptor = (next) => async (call) => {
    requireWellFormed(call.request);
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
        stream.emit('error', toStatus(foreseen(error, '')));
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
    const interruption = fault === undefined ? stopping : AbortSignal.any([stopping, fault]);
    if (call.talk === undefined) throw new Error('a conversation reached its handler without a stream');
    const answer = (message: unknown): unknown => {
      requireWellFormed(message);
      const request = message as Request;
      const known = authenticator.peek(call.authorization);
      if (known === undefined || !covers(known.scopes, method.permission)) {
        return reauthorize(dependencies, call, method).then((caller) => method.handle(request, caller));
      }
      return method.peek?.(request) ?? method.handle(request, callerOf(call));
    };
    call.isCancelled = (await converse(call.talk, answer, interruption)) === 'cancelled';
  });
  return (stream) => {
    first({ ...toCall(path, stream), talk: stream }).then(
      () => {
        stream.end();
      },
      (error: unknown) => {
        stream.emit('error', toStatus(foreseen(error, '')));
      },
    );
  };
}

/** reauthorize gives the caller of a call that has been under way for a while as it is by now. */
async function reauthorize(
  { authenticator }: ChainDependencies,
  call: Call,
  method: Requirements,
): Promise<Caller> {
  const caller = known(await authenticator.authenticate(call), method);
  requireScope(caller, method.permission);
  return caller;
}

/** known refuses a caller who may have been shut out meanwhile, unless the method serves such. */
function known({ caller, stale }: Authenticated, { servesStaleCallers }: Requirements): Caller {
  if (stale && servesStaleCallers !== true) throw databaseUnavailable();
  return caller;
}

function requireScope({ scopes }: Caller, permission: Permission): void {
  if (covers(scopes, permission)) return;
  throw new KeywardError('SCOPE_MISSING', `The credentials lack the scope ${permission}.`, {
    metadata: { required_scope: permission },
  });
}

function requireWellFormed(request: unknown): void {
  if (!(request instanceof Malformed)) return;
  throw new KeywardError('MALFORMED_REQUEST', 'The request is not a message of the expected type.', {
    cause: request.cause,
  });
}

function compose(dependencies: ChainDependencies, method: Requirements, innermost: Step): Step {
  return interceptors(dependencies).reduceRight((next, intercept) => intercept(next, method), innermost);
}

function callerOf({ caller }: Call): Caller {
  if (caller === undefined) throw new Error('a call reached its handler without a caller');
  return caller;
}

function toCall(
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
  };
}
