import type { handleUnaryCall, Server, UntypedServiceImplementation } from '@grpc/grpc-js';
import { covers } from '../lib/scopes.js';
import { chain, Malformed, type ChainDependencies } from './chain.js';
import type { Handler, Handlers, UnaryMethod } from './handlers.js';

/** Methods is a generated service, as far as it matters here. */
type Methods<Service> = { readonly [Name in keyof Service]: UnaryMethod<unknown, never> };

/** addService serves a generated service: each method by its handler, inside the chain. */
export function addService<Service extends Methods<Service>>(
  server: Server,
  service: Service,
  handlers: Handlers<Service>,
  dependencies: ChainDependencies,
): void {
  const definition: Record<string, UnaryMethod<unknown, unknown>> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const name of Object.keys(service) as (keyof Service & string)[]) {
    const method = service[name] as unknown as UnaryMethod<unknown, unknown>;
    const handler = handlers[name] as Handler<unknown, unknown>;
    definition[name] = tolerant(method);
    implementation[name] = fromMemory(handler, dependencies, chain(dependencies, method.path, handler));
  }
  server.addService(definition, implementation);
}

/**
 * fromMemory answers a call of a handler that can `peek` without running the chain, if its caller is known and
 * entitled by what memory holds too. Whatever is not plainly so, and every call that is to be logged, goes
 * through the chain and is decided there.
 */
function fromMemory(
  { peek, permission }: Handler<unknown, unknown>,
  { authenticator, logger }: ChainDependencies,
  chained: handleUnaryCall<unknown, unknown>,
): handleUnaryCall<unknown, unknown> {
  if (peek === undefined) return chained;
  return (call, callback) => {
    if (!(call.request instanceof Malformed) && !logger.isLevelEnabled('debug')) {
      const caller = authenticator.peek(call.metadata);
      if (caller !== undefined && covers(caller.scopes, permission)) {
        const answer = peek(call.request);
        if (answer !== undefined) {
          callback(null, answer);
          return;
        }
      }
    }
    chained(call, callback);
  };
}

/** tolerant makes a method hand on bytes that it cannot decode, where the library would answer INTERNAL. */
function tolerant(method: UnaryMethod<unknown, unknown>): UnaryMethod<unknown, unknown> {
  return {
    ...method,
    requestDeserialize: (bytes) => {
      try {
        return method.requestDeserialize(bytes);
      } catch (error) {
        return new Malformed(error);
      }
    },
  };
}
