import { AccountServiceDefinition } from './gen/keyward/account/v1/account_service.js';
import { AuditServiceDefinition } from './gen/keyward/audit/v1/audit_service.js';
import { StatusServiceDefinition } from './gen/keyward/coherence/v1/status_service.js';
import { ManifestServiceDefinition } from './gen/keyward/manifest/v1/manifest_service.js';
import { SecretServiceDefinition } from './gen/keyward/secret/v1/secret_service.js';
import { ImportServiceDefinition } from './gen/keyward/smarter/v1/import_service.js';
import { TokenServiceDefinition } from './gen/keyward/token/v1/token_service.js';
import { Holding } from './holding/holding.js';
import type { Input } from './input.js';
import { checkedRequest } from './requests.js';
import {
  wireMethod,
  type MessageOf,
  type MessageType,
  type ServiceDefinition,
} from './transport/definitions.js';
import { callOf } from './transport/methods.js';
import { Transport, type CallOptions, type ConnectOptions } from './transport/transport.js';

/**
 * Methods gives a promise for every method of a service, and for one that answers with a stream its messages: the
 * call begins with the iteration and is cancelled if that ends early. One that takes a stream asks for the next
 * request when there is room for it.
 */
export type Methods<Service extends ServiceDefinition> = {
  readonly [Name in keyof Service['methods']]: (
    request: Service['methods'][Name]['requestStream'] extends true
      ? AsyncIterable<Input<MessageOf<Service['methods'][Name]['requestType']>>>
      : Input<MessageOf<Service['methods'][Name]['requestType']>>,
    options?: CallOptions,
  ) => Service['methods'][Name]['responseStream'] extends true
    ? AsyncIterable<MessageOf<Service['methods'][Name]['responseType']>>
    : Promise<MessageOf<Service['methods'][Name]['responseType']>>;
};

/** KeywardClient calls the services; every method fails with a KeywardCallError. */
export interface KeywardClient {
  readonly tokens: Omit<Methods<typeof TokenServiceDefinition>, 'holdVerdicts'>;
  readonly secrets: Methods<typeof SecretServiceDefinition>;
  readonly accounts: Methods<typeof AccountServiceDefinition>;
  readonly audit: Methods<typeof AuditServiceDefinition>;
  readonly status: Methods<typeof StatusServiceDefinition>;
  readonly manifests: Methods<typeof ManifestServiceDefinition>;
  readonly imports: Methods<typeof ImportServiceDefinition>;
  /** What the calls are made by. */
  readonly transport: Transport;
  /**
   * What createValidator and createSecretReader share: one memory in this process, and one stream that keeps it right.
   *
   * @internal
   */
  readonly holding: Holding;
  /** close ends what was made with the client as well. */
  close(): void;
}

/**
 * connect makes a client. Connections are made with the first calls, and again whenever they are lost.
 *
 * @throws Error if an option is none, or the options contradict each other, or a file that they name cannot be read
 */
export function connect(options: ConnectOptions = {}): KeywardClient {
  const transport = new Transport(options);
  const holding = new Holding(transport);
  // That is createValidator's and createSecretReader's.
  const { holdVerdicts: _, ...tokens } = methods(transport, TokenServiceDefinition);
  return {
    tokens,
    secrets: methods(transport, SecretServiceDefinition),
    accounts: methods(transport, AccountServiceDefinition),
    audit: methods(transport, AuditServiceDefinition),
    status: methods(transport, StatusServiceDefinition),
    manifests: methods(transport, ManifestServiceDefinition),
    imports: methods(transport, ImportServiceDefinition),
    transport,
    holding,
    close: () => {
      holding.close();
      transport.close();
    },
  };
}

function methods<Service extends ServiceDefinition>(
  transport: Transport,
  service: Service,
): Methods<Service> {
  const entries = Object.entries(service.methods).map(([name, method]) => {
    const wire = wireMethod(service, method);
    const type = method.requestType as MessageType<object>;
    const whole = (given: object): object => type.fromPartial(checkedRequest(wire.path, given));
    return [name, callOf(transport, wire, method, whole)] as const;
  });
  return Object.fromEntries(entries) as unknown as Methods<Service>;
}
