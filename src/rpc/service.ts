import type { Server, UntypedServiceImplementation } from '@grpc/grpc-js';
import { Validated } from '../lib/errors.js';
import { covers } from '../lib/scopes.js';
import { chain, conversationChain, Malformed, streamChain, type ChainDependencies } from './chain.js';
import { dialogueChain } from './dialogue-chain.js';
import type { AnswerFromMemory, MethodRule } from './front-door/method-rules.js';
import type { DialogueHandler, Handler, Handlers, Method, StreamHandler } from './handlers.js';
import { strictReader } from './strict-utf8.js';

/** Methods is a generated service, as far as it matters here. */
type Methods<Service> = { readonly [Name in keyof Service]: Method<unknown, never> };

type AnyMethod = Method<unknown, unknown>;
type AnyHandler = Handler<unknown, unknown> | StreamHandler<unknown, unknown> | DialogueHandler<unknown>;

/** Most bytes of a request of a method that does not say otherwise. */
const MAX_REQUEST_BYTES = 64 * 1024;
/** A message without any field. */
const NOTHING = Buffer.alloc(0);

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
    const serving = tolerant(method);
    definition[name] = serving;
    implementation[name] = implement(method, handler, dependencies);
    rules.push({
      path: method.path,
      maxRequestBytes: handler.maxRequestBytes ?? MAX_REQUEST_BYTES,
      expansion: handler.expansion ?? 1,
      isConversation: method.requestStream,
      isOpen: false,
      lasts: 'stream' in handler || method.requestStream,
      // Other methods overwrite the bytes that they read, which may yet have to be handed on.
      answerFromMemory: method.readsBytes === true ? fromMemory(serving, handler, dependencies) : undefined,
      answerFailure: ofFailure(serving, handler),
    });
  }
  server.addService(definition, implementation);
  return rules;
}

function implement(
  method: AnyMethod,
  handler: AnyHandler,
  dependencies: ChainDependencies,
): UntypedServiceImplementation[string] {
  const { path, requestStream } = method;
  if ('stream' in handler) return streamChain(dependencies, path, handler);
  if ('converse' in handler) return dialogueChain(dependencies, path, handler);
  if (requestStream) return conversationChain(dependencies, path, handler);
  return chain(dependencies, path, canValidate(method) ? validating(method, handler) : handler);
}

/** CanValidate is what requests have in common whose call may be checked alone. */
interface CanValidate {
  readonly validateOnly: boolean;
}

/** canValidate tells whether the requests of a method have the field. */
function canValidate({ requestDeserialize }: AnyMethod): boolean {
  return 'validateOnly' in (requestDeserialize(NOTHING) as object);
}

/**
 * validating lets calls that are to be checked alone go the way of all others, up to the commit: that is where they end.
 * The answer is an empty message, whatever the handler would have made of what is not there.
 */
function validating(
  { path, responseDeserialize }: AnyMethod,
  handler: Handler<unknown, unknown>,
): Handler<unknown, unknown> {
  return {
    ...handler,
    handle: async (request, caller) => {
      if (!(request as CanValidate).validateOnly) return handler.handle(request, caller);
      try {
        await handler.handle(request, { ...caller, validatesOnly: true });
      } catch (error) {
        if (error instanceof Validated) return responseDeserialize(NOTHING);
        throw error;
      }
      throw new Error(`${path} ended without the commit that a call which only validates leaves out`);
    },
  };
}

/**
 * fromMemory answers a call of a handler that can `answerFromMemory` in the place of the library and the chain, if its caller is
 * known and entitled by what memory holds too. Whatever is not plainly so, and every call that is to be logged, goes
 * through both and is decided there.
 */
function fromMemory(
  { path, requestStream, requestDeserialize, responseSerialize }: AnyMethod,
  handler: AnyHandler,
  { logger, calls, fastLane }: ChainDependencies,
): AnswerFromMemory | undefined {
  if (!fastLane || requestStream || 'stream' in handler || 'converse' in handler) return undefined;
  const { answerFromMemory, permission } = handler;
  if (answerFromMemory === undefined || typeof permission !== 'string') return undefined;
  const answered = calls.answeredAtOnce(path);
  return (message, known) => {
    if (logger.isLevelEnabled('debug')) return undefined;
    const caller = known.use();
    if (caller === undefined || !covers(caller.scopes, permission)) return undefined;
    const request = requestDeserialize(message);
    const answer = request instanceof Malformed ? undefined : answerFromMemory(request);
    if (answer === undefined) return undefined;
    answered.count += 1;
    return responseSerialize(answer);
  };
}

/** ofFailure encodes what a handler answers failed calls with, for those that never come to it. */
function ofFailure({ responseSerialize }: AnyMethod, handler: AnyHandler): MethodRule['answerFailure'] {
  if (!('answerFailure' in handler)) return undefined;
  const { answerFailure } = handler;
  return (error) => {
    const answer = answerFailure(error);
    return answer === undefined ? undefined : responseSerialize(answer);
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
