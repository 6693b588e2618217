/**
 * `client/` is what Node programs call the service with, and the only folder that the package exports. It knows the
 * generated messages and nothing else of the service.
 *
 *     const keyward = connect({ server: 'keyward.internal:50051', token: ownToken });
 *     const { valid, reason } = await keyward.tokens.validateToken({ token });
 */

import { Client, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import * as accountMessages from '../gen/keyward/account/v1/account_service.js';
import * as auditMessages from '../gen/keyward/audit/v1/audit_service.js';
import * as statusMessages from '../gen/keyward/coherence/v1/status_service.js';
import * as manifestMessages from '../gen/keyward/manifest/v1/manifest_service.js';
import * as secretMessages from '../gen/keyward/secret/v1/secret_service.js';
import * as holdMessages from '../gen/keyward/token/v1/hold_verdicts.js';
import * as tokenMessages from '../gen/keyward/token/v1/token_service.js';
import { toCallError } from './call-error.js';
import { callMetadata, channelArguments, deadlineIn, timeoutOf, type ClientOptions } from './channel.js';

export type { ClientOptions } from './channel.js';
export { KeywardCallError } from './call-error.js';
export { checkHealth } from './health.js';
export * from '../gen/keyward/account/v1/account.js';
export * from '../gen/keyward/account/v1/account_service.js';
export * from '../gen/keyward/audit/v1/audit.js';
export * from '../gen/keyward/audit/v1/audit_service.js';
export * from '../gen/keyward/coherence/v1/status_service.js';
export * from '../gen/keyward/coherence/v1/propagation.js';
export * from '../gen/keyward/manifest/v1/manifest.js';
export * from '../gen/keyward/manifest/v1/manifest_service.js';
export * from '../gen/keyward/secret/v1/secret.js';
export * from '../gen/keyward/secret/v1/secret_service.js';
export * from '../gen/keyward/token/v1/token.js';
export * from '../gen/keyward/token/v1/token_service.js';
// Both services have methods of these names.
export {
  AttachReferenceRequest,
  AttachReferenceResponse,
  DetachReferenceRequest,
  DetachReferenceResponse,
  ListReferencesRequest,
  ListReferencesResponse,
} from '../gen/keyward/secret/v1/secret_service.js';
export {
  AttachReferenceRequest as AttachTokenReferenceRequest,
  AttachReferenceResponse as AttachTokenReferenceResponse,
  DetachReferenceRequest as DetachTokenReferenceRequest,
  DetachReferenceResponse as DetachTokenReferenceResponse,
  ListReferencesRequest as ListTokenReferencesRequest,
  ListReferencesResponse as ListTokenReferencesResponse,
} from '../gen/keyward/token/v1/token_service.js';

type DeepPartial<T> = T extends
  bigint | string | number | boolean | Uint8Array | ReadonlyMap<unknown, unknown> | undefined
  ? T
  : T extends readonly (infer Item)[]
    ? readonly DeepPartial<Item>[]
    : { readonly [Key in keyof T]?: DeepPartial<T[Key]> };

/**
 * Methods gives a promise for every method of a service, and for one that answers with a stream its messages: the
 * call begins with the iteration and is cancelled if that ends early. One that takes a stream asks for the next
 * request when there is room for it. Fields left out of a request have their defaults.
 */
type Methods<Service> = {
  readonly [Name in keyof Service]: Service[Name] extends {
    requestStream: infer TakesStream;
    responseStream: infer IsStream;
    requestDeserialize: (bytes: Buffer) => infer Request;
    responseDeserialize: (bytes: Buffer) => infer Response;
  }
    ? (
        request: TakesStream extends true ? AsyncIterable<DeepPartial<Request>> : DeepPartial<Request>,
      ) => IsStream extends true ? AsyncIterable<Response> : Promise<Response>
    : never;
};

/** KeywardClient calls the services; every method fails with a KeywardCallError. */
export interface KeywardClient {
  readonly tokens: Methods<typeof tokenMessages.TokenServiceService>;
  readonly secrets: Methods<typeof secretMessages.SecretServiceService>;
  readonly accounts: Methods<typeof accountMessages.AccountServiceService>;
  readonly audit: Methods<typeof auditMessages.AuditServiceService>;
  readonly status: Methods<typeof statusMessages.StatusServiceService>;
  readonly manifests: Methods<typeof manifestMessages.ManifestServiceService>;
  close(): void;
}

/**
 * connect makes a client. The connection is made with the first call, and again whenever it is lost.
 *
 * @throws Error if the options contradict each other, or a file that they name cannot be read
 */
export function connect(options: ClientOptions = {}): KeywardClient {
  const client = new Client(...channelArguments(options));
  return {
    tokens: methods(client, options, tokenMessages.TokenServiceService, {
      ...tokenMessages,
      ...holdMessages,
    }),
    secrets: methods(client, options, secretMessages.SecretServiceService, secretMessages),
    accounts: methods(client, options, accountMessages.AccountServiceService, accountMessages),
    audit: methods(client, options, auditMessages.AuditServiceService, auditMessages),
    status: methods(client, options, statusMessages.StatusServiceService, statusMessages),
    manifests: methods(client, options, manifestMessages.ManifestServiceService, manifestMessages),
    close: () => {
      client.close();
    },
  };
}

interface GeneratedMethod {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: never) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

function methods<Service extends { readonly [Name in keyof Service]: GeneratedMethod }>(
  client: Client,
  options: ClientOptions,
  service: Service,
  messages: Readonly<Record<string, unknown>>,
): Methods<Service> {
  const entries = Object.entries<GeneratedMethod>(service).map(([name, method]) => {
    const complete = requestType(messages, method.path);
    if (method.requestStream) {
      return [
        name,
        (requests: AsyncIterable<object>) => exchange(client, options, method, complete, requests),
      ] as const;
    }
    const start = method.responseStream ? callStream : callUnary;
    return [
      name,
      (request: object) => start(client, options, method, complete.fromPartial(request)),
    ] as const;
  });
  return Object.fromEntries(entries) as Methods<Service>;
}

function callUnary(
  client: Client,
  options: ClientOptions,
  method: GeneratedMethod,
  request: unknown,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize as (value: unknown) => Buffer,
      method.responseDeserialize,
      request,
      callMetadata(options),
      { deadline: deadlineIn(options.timeoutMs ?? timeoutOf(method.path)) },
      (error: ServiceError | null, response: unknown) => {
        if (error === null) resolve(response);
        else reject(toCallError(error));
      },
    );
  });
}

/** callStream has no deadline: a stream lasts as long as there is something to tell. */
async function* callStream(
  client: Client,
  options: ClientOptions,
  method: GeneratedMethod,
  request: unknown,
): AsyncGenerator {
  const call = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize as (value: unknown) => Buffer,
    method.responseDeserialize,
    request,
    callMetadata(options),
  );
  try {
    yield* call;
  } catch (error) {
    throw toCallError(error as ServiceError);
  } finally {
    call.cancel();
  }
}

/** exchange sends requests while it yields the answers. It has no deadline either. */
async function* exchange(
  client: Client,
  options: ClientOptions,
  method: GeneratedMethod,
  complete: MessageType,
  requests: AsyncIterable<object>,
): AsyncGenerator {
  const call = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize as (value: unknown) => Buffer,
    method.responseDeserialize,
    callMetadata(options),
  );
  const iterator = requests[Symbol.asyncIterator]();
  let failure: { readonly error: unknown } | undefined;
  send(call, complete, iterator).catch((error: unknown) => {
    failure = { error };
    call.cancel();
  });
  try {
    yield* call;
  } catch (error) {
    throw failure === undefined ? toCallError(error as ServiceError) : failure.error;
  } finally {
    call.cancel();
    // How the requests end that nobody takes is nobody's concern any more.
    iterator.return?.().catch(() => undefined);
  }
}

/** send sends requests as fast as they are taken. */
async function send(
  call: ClientDuplexStream<unknown, unknown>,
  complete: MessageType,
  requests: AsyncIterator<object>,
): Promise<void> {
  for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
    const hasRoom = call.write(complete.fromPartial(next.value));
    if (!hasRoom) await new Promise((resolve) => call.once('drain', resolve));
  }
  call.end();
}

interface MessageType {
  fromPartial(partial: object): unknown;
}

/** requestType finds the generated type of a method's request, which is named after the method. */
function requestType(messages: Readonly<Record<string, unknown>>, path: string): MessageType {
  const type = messages[`${path.slice(path.lastIndexOf('/') + 1)}Request`];
  if (typeof type !== 'object' || type === null || !('fromPartial' in type))
    throw new Error(`no request type for ${path}`);
  return type as MessageType;
}
