import { Client, type ServiceError } from '@grpc/grpc-js';
import * as accountMessages from '../gen/keyward/account/v1/account_service.js';
import * as tokenMessages from '../gen/keyward/token/v1/token_service.js';
import { toCallError } from './call-error.js';
import { callMetadata, channelCredentials, DEFAULT_SERVER, type ClientOptions } from './channel.js';

export type { ClientOptions } from './channel.js';
export { KeywardCallError } from './call-error.js';
export { checkHealth } from './health.js';
export * from '../gen/keyward/account/v1/account.js';
export * from '../gen/keyward/account/v1/account_service.js';
export * from '../gen/keyward/token/v1/token.js';
export * from '../gen/keyward/token/v1/token_service.js';

type DeepPartial<T> = T extends
  bigint | string | number | boolean | Uint8Array | ReadonlyMap<unknown, unknown> | undefined
  ? T
  : T extends readonly (infer Item)[]
    ? readonly DeepPartial<Item>[]
    : { readonly [Key in keyof T]?: DeepPartial<T[Key]> };

/** Methods gives a promise for every method of a service; fields left out of a request have their defaults. */
type Methods<Service> = {
  readonly [Name in keyof Service]: Service[Name] extends {
    requestDeserialize: (bytes: Buffer) => infer Request;
    responseDeserialize: (bytes: Buffer) => infer Response;
  }
    ? (request: DeepPartial<Request>) => Promise<Response>
    : never;
};

/** KeywardClient calls the services; every method rejects with a KeywardCallError. */
export interface KeywardClient {
  readonly tokens: Methods<typeof tokenMessages.TokenServiceService>;
  readonly accounts: Methods<typeof accountMessages.AccountServiceService>;
  close(): void;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** connect makes a client. The connection is made with the first call, and again whenever it is lost. */
export function connect(options: ClientOptions = {}): KeywardClient {
  const client = new Client(options.server ?? DEFAULT_SERVER, channelCredentials(options));
  return {
    tokens: methods(client, options, tokenMessages.TokenServiceService, tokenMessages),
    accounts: methods(client, options, accountMessages.AccountServiceService, accountMessages),
    close: () => {
      client.close();
    },
  };
}

interface GeneratedMethod {
  readonly path: string;
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
    const call = (request: object): Promise<unknown> =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          method.path,
          method.requestSerialize as (value: unknown) => Buffer,
          method.responseDeserialize,
          complete.fromPartial(request),
          callMetadata(options),
          {
            deadline: performance.timeOrigin + performance.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
          },
          (error: ServiceError | null, response: unknown) => {
            if (error === null) resolve(response);
            else reject(toCallError(error));
          },
        );
      });
    return [name, call] as const;
  });
  return Object.fromEntries(entries) as Methods<Service>;
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
