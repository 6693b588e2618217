import type { CallOptions, Transport, WireMethod } from './transport.js';

/** GeneratedMethod is a method as ts-proto generates it for grpc-js. */
export interface GeneratedMethod extends WireMethod {
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
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
 * `messages` are the generated messages of the service; `typeOf` may take another way from what is given to what is sent.
 */
export function callsOf<Service extends GeneratedService<Service>>(
  transport: Transport,
  service: Service,
  messages: Readonly<Record<string, unknown>>,
  typeOf: (type: RequestType, path: string) => RequestType = (type) => type,
): Readonly<Record<string, Call>> {
  const entries = Object.entries<GeneratedMethod>(service).map(([name, method]) => {
    const complete = typeOf(requestType(messages, method.path), method.path);
    return [name, callOf(transport, method, complete)] as const;
  });
  return Object.fromEntries(entries);
}

function callOf(transport: Transport, method: GeneratedMethod, complete: RequestType): Call {
  const wire = method as unknown as WireMethod<object>;
  const whole = (request: object): object => complete.fromPartial(request) as object;
  if (method.requestStream)
    return (requests, options) =>
      transport.exchange(wire, wholeOf(requests as AsyncIterable<object>, whole), options);
  if (method.responseStream) return (request, options) => transport.messages(wire, whole(request), options);
  return async (request, options) => transport.unary(wire, whole(request), options);
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
