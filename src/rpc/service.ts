import type { handleUnaryCall, Server, UntypedServiceImplementation } from '@grpc/grpc-js';
import { covers } from '../lib/scopes.js';
import { authorizationOf } from './auth.js';
import { chain, conversationChain, Malformed, streamChain, type ChainDependencies } from './chain.js';
import type { MethodRule } from './front-door/admission.js';
import { admissionOf } from './front-door/request-body.js';
import type { Handler, Handlers, Method, StreamHandler } from './handlers.js';
import { strictReader } from './strict-utf8.js';

/** Methods is a generated service, as far as it matters here. */
type Methods<Service> = { readonly [Name in keyof Service]: Method<unknown, never> };

type AnyMethod = Method<unknown, unknown>;
type AnyHandler = Handler<unknown, unknown> | StreamHandler<unknown, unknown>;

/** Most bytes of a request of a method that does not say otherwise. */
const MOST_REQUEST_BYTES = 64 * 1024;

/**
 * addService serves a generated service: each method by its handler, inside the chain. It gives the rules by which the
 * front door lets its calls in.
 */
export function addService<Service extends Methods<Service>>(
  server: Server,
  service: Service,
  handlers: Handlers<Service>,
  dependencies: ChainDependencies,
): MethodRule[] {
  const definition: Record<string, AnyMethod> = {};
  const implementation: UntypedServiceImplementation = {};
  const rules: MethodRule[] = [];
  for (const name of Object.keys(service) as (keyof Service & string)[]) {
    const method = service[name] as unknown as AnyMethod;
    const handler: AnyHandler = handlers[name];
    definition[name] = tolerant(method);
    implementation[name] = implement(method, handler, dependencies);
    rules.push({
      path: method.path,
      maxRequestBytes: handler.maxRequestBytes ?? MOST_REQUEST_BYTES,
      isConversation: method.requestStream,
      isOpen: false,
      lasts: 'stream' in handler || method.requestStream,
    });
  }
  server.addService(definition, implementation);
  return rules;
}

function implement(
  { path, requestStream }: AnyMethod,
  handler: AnyHandler,
  dependencies: ChainDependencies,
): UntypedServiceImplementation[string] {
  if ('stream' in handler) return streamChain(dependencies, path, handler);
  return requestStream
    ? conversationChain(dependencies, path, handler)
    : fromMemory(path, handler, dependencies);
}

/**
 * fromMemory is the chain of a method, but answers a call of a handler that can `peek` without running it, if its caller is known and
 * entitled by what memory holds too. Whatever is not plainly so, and every call that is to be logged, goes
 * through the chain and is decided there.
 */
function fromMemory(
  path: string,
  handler: Handler<unknown, unknown>,
  dependencies: ChainDependencies,
): handleUnaryCall<unknown, unknown> {
  const { peek, permission } = handler;
  const { authenticator, logger, calls } = dependencies;
  const chained = chain(dependencies, path, handler);
  if (peek === undefined) return chained;
  const answered = calls.answeredAtOnce(path);
  return (call, callback) => {
    const admission = admissionOf(call);
    // Who had to be asked for is told to the log of authentications, by the chain.
    const isPlain = admission?.judged === undefined && !(call.request instanceof Malformed);
    if (isPlain && !logger.isLevelEnabled('debug')) {
      const caller =
        admission?.known === undefined
          ? authenticator.peek(authorizationOf(call.metadata))
          : authenticator.use(admission.known);
      if (caller !== undefined && covers(caller.scopes, permission)) {
        const answer = peek(call.request);
        if (answer !== undefined) {
          answered.count += 1;
          callback(null, answer);
          return;
        }
      }
    }
    chained(call, callback);
  };
}

/** tolerant makes a method hand on bytes that it cannot decode, where the library would answer INTERNAL. */
function tolerant(method: AnyMethod): AnyMethod {
  const decode = method.readsBytes === true ? method.requestDeserialize : strictly(method.requestDeserialize);
  return {
    ...method,
    requestDeserialize: (bytes) => {
      try {
        return decode(bytes);
      } catch (error) {
        return new Malformed(error);
      }
    },
  };
}

/**
 * strictly makes generated code, which takes a reader as well as bytes, refuse text that is not UTF-8. It copies what
 * it reads, and the bytes are overwritten: they may hold a value, and lie in memory that others share.
 */
function strictly(decode: (bytes: Buffer) => unknown): (bytes: Buffer) => unknown {
  const decodeFrom = decode as (input: unknown) => unknown;
  return (bytes) => {
    try {
      return decodeFrom(strictReader(bytes));
    } finally {
      bytes.fill(0);
    }
  };
}
