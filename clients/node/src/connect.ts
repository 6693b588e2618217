import * as accountMessages from './gen/keyward/account/v1/account_service.js';
import * as auditMessages from './gen/keyward/audit/v1/audit_service.js';
import * as statusMessages from './gen/keyward/coherence/v1/status_service.js';
import * as manifestMessages from './gen/keyward/manifest/v1/manifest_service.js';
import * as secretMessages from './gen/keyward/secret/v1/secret_service.js';
import * as importMessages from './gen/keyward/smarter/v1/import_service.js';
import * as tokenMessages from './gen/keyward/token/v1/token_service.js';
import { Holding } from './holding/holding.js';
import type { Input } from './input.js';
import { checkedRequest } from './requests.js';
import { callsOf, type GeneratedService } from './transport/methods.js';
import { Transport, type CallOptions, type ConnectOptions } from './transport/transport.js';

/**
 * Methods gives a promise for every method of a service, and for one that answers with a stream its messages: the
 * call begins with the iteration and is cancelled if that ends early. One that takes a stream asks for the next
 * request when there is room for it.
 */
export type Methods<Service> = {
  readonly [Name in keyof Service]: Service[Name] extends {
    requestStream: infer TakesStream;
    responseStream: infer IsStream;
    requestDeserialize: (bytes: Buffer) => infer Request;
    responseDeserialize: (bytes: Buffer) => infer Response;
  }
    ? (
        request: TakesStream extends true ? AsyncIterable<Input<Request>> : Input<Request>,
        options?: CallOptions,
      ) => IsStream extends true ? AsyncIterable<Response> : Promise<Response>
    : never;
};

/** KeywardClient calls the services; every method fails with a KeywardCallError. */
export interface KeywardClient {
  readonly tokens: Omit<Methods<typeof tokenMessages.TokenServiceService>, 'holdVerdicts'>;
  readonly secrets: Methods<typeof secretMessages.SecretServiceService>;
  readonly accounts: Methods<typeof accountMessages.AccountServiceService>;
  readonly audit: Methods<typeof auditMessages.AuditServiceService>;
  readonly status: Methods<typeof statusMessages.StatusServiceService>;
  readonly manifests: Methods<typeof manifestMessages.ManifestServiceService>;
  readonly imports: Methods<typeof importMessages.ImportServiceService>;
  /** What the calls are made by. */
  readonly transport: Transport;
  /** What createValidator and createSecretReader share: one memory in this process, and one stream that keeps it right. */
  readonly holding: Holding;
  /** close ends what was made with the client as well. */
  close(): void;
}

/**
 * connect makes a client. Connections are made with the first calls, and again whenever they are lost.
 *
 * @throws Error if the options contradict each other, or a file that they name cannot be read
 */
export function connect(options: ConnectOptions = {}): KeywardClient {
  const transport = new Transport(options);
  const holding = new Holding(transport);
  // That is createValidator's and createSecretReader's.
  const { holdVerdicts: _, ...callable } = tokenMessages.TokenServiceService;
  return {
    tokens: methods(transport, callable, tokenMessages),
    secrets: methods(transport, secretMessages.SecretServiceService, secretMessages),
    accounts: methods(transport, accountMessages.AccountServiceService, accountMessages),
    audit: methods(transport, auditMessages.AuditServiceService, auditMessages),
    status: methods(transport, statusMessages.StatusServiceService, statusMessages),
    manifests: methods(transport, manifestMessages.ManifestServiceService, manifestMessages),
    imports: methods(transport, importMessages.ImportServiceService, importMessages),
    transport,
    holding,
    close: () => {
      holding.close();
      transport.close();
    },
  };
}

function methods<Service extends GeneratedService<Service>>(
  transport: Transport,
  service: Service,
  messages: Readonly<Record<string, unknown>>,
): Methods<Service> {
  return callsOf(transport, service, messages, (type, path) => ({
    fromPartial: (given) => type.fromPartial(checkedRequest(path, given)),
  })) as Methods<Service>;
}
