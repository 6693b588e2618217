/**
 * `client/` is the service's own commands' way to the service: the client package's transport, with the generated messages as
 * the service has them, which are those of the protocol to the letter.
 */

import { callsOf, Transport, type GeneratedService } from '@keyward/client/transport';
import * as accountMessages from '../gen/keyward/account/v1/account_service.js';
import * as auditMessages from '../gen/keyward/audit/v1/audit_service.js';
import * as statusMessages from '../gen/keyward/coherence/v1/status_service.js';
import * as manifestMessages from '../gen/keyward/manifest/v1/manifest_service.js';
import * as secretMessages from '../gen/keyward/secret/v1/secret_service.js';
import * as importMessages from '../gen/keyward/smarter/v1/import_service.js';
import * as holdMessages from '../gen/keyward/token/v1/hold_verdicts.js';
import * as tokenMessages from '../gen/keyward/token/v1/token_service.js';
import { connectOptions, type ClientOptions } from './channel.js';

export type { ClientOptions } from './channel.js';
export { checkHealth } from './health.js';
export { KeywardCallError } from '@keyward/client/transport';
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
export * from '../gen/keyward/smarter/v1/import_service.js';
export * from '../gen/keyward/token/v1/token.js';
// Not all: SecretService has methods of the same names.
export {
  TokenEventType,
  BatchValidateTokensResponse,
  type RotateTokenRequest,
  type StreamValidateTokensResponse,
  type TokenEvent,
  type ValidateTokenResponse,
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
  readonly imports: Methods<typeof importMessages.ImportServiceService>;
  close(): void;
}

/**
 * connect makes a client. The connection is made with the first call, and again whenever it is lost.
 *
 * @throws Error if the options contradict each other, or a file that they name cannot be read
 */
export function connect(options: ClientOptions = {}): KeywardClient {
  const transport = new Transport(connectOptions(options));
  return {
    tokens: methods(transport, tokenMessages.TokenServiceService, { ...tokenMessages, ...holdMessages }),
    secrets: methods(transport, secretMessages.SecretServiceService, secretMessages),
    accounts: methods(transport, accountMessages.AccountServiceService, accountMessages),
    audit: methods(transport, auditMessages.AuditServiceService, auditMessages),
    status: methods(transport, statusMessages.StatusServiceService, statusMessages),
    manifests: methods(transport, manifestMessages.ManifestServiceService, manifestMessages),
    imports: methods(transport, importMessages.ImportServiceService, importMessages),
    close: () => transport.close(),
  };
}

function methods<Service extends GeneratedService<Service>>(
  transport: Transport,
  service: Service,
  messages: Readonly<Record<string, unknown>>,
): Methods<Service> {
  return callsOf(transport, service, messages) as Methods<Service>;
}
