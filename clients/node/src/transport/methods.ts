import { CALL_RULES } from './connect-rules.js';
import { checkOptions } from './options.js';
import type { CallOptions, Transport, WireMethod } from './transport.js';

/** Streams tells on which sides of a method there are streams. */
interface Streams {
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

/** GeneratedMethod is a method as ts-proto generates it for grpc-js. */
export interface GeneratedMethod extends WireMethod, Streams {
  requestDeserialize(bytes: Uint8Array): unknown;
}

/** GeneratedService is a service as ts-proto generates it for grpc-js. */
export type GeneratedService<Service> = { readonly [Name in keyof Service]: GeneratedMethod };

/** RequestType makes whole requests of what was given. */
export interface RequestType {
  fromPartial(partial: object): unknown;
}

type Call = (request: object, options?: CallOptions) => unknown;

/**
 * callsOf makes a function for each method of a service: of a promise, or, where it answers with a stream, of its messages.
 * `messages` are the generated messages of the service.
 */
export function callsOf<Service extends GeneratedService<Service>>(
  transport: Transport,
  service: Service,
  messages: Readonly<Record<string, unknown>>,
): Readonly<Record<string, Call>> {
  const entries = Object.entries<GeneratedMethod>(service).map(([name, method]) => {
    const type = requestType(messages, method.path);
    return [name, callOf(transport, method, method, (given) => type.fromPartial(given) as object)] as const;
  });
  return Object.fromEntries(entries);
}

/** callOf makes the function of one method; `whole` makes a whole request of what is given. */
export function callOf(
  transport: Transport,
  method: WireMethod,
  { requestStream, responseStream }: Streams,
  whole: (given: object) => object,
): Call {
  const wire = method as unknown as WireMethod<object>;
  const checked = (options: CallOptions = {}): CallOptions => {
    checkOptions('a call', options, CALL_RULES);
    return options;
  };
  if (requestStream)
    return (requests, options) =>
      transport.exchange(wire, wholeOf(requests as AsyncIterable<object>, whole), checked(options));
  if (responseStream) return (request, options) => transport.messages(wire, whole(request), checked(options));
  return async (request, options) => transport.unary(wire, whole(request), checked(options));
}

async function* wholeOf(
  requests: AsyncIterable<object>,
  whole: (request: object) => object,
): AsyncGenerator<object> {
  for await (const request of requests) yield whole(request);
}

/** requestType finds the generated type of a method's request, which is named after the method. */
function requestType(messages: Readonly<Record<string, unknown>>, path: string): RequestType {
  const type = messages[`${path.slice(path.lastIndexOf('/') + 1)}Request`];
  if (typeof type !== 'object' || type === null || !('fromPartial' in type))
    throw new Error(`no request type for ${path}`);
  return type as RequestType;
}
