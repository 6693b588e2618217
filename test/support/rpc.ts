import { Client, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { toCallError } from '@keyward/client/transport';
import { channelArguments } from './channel-arguments.js';
import { KeywardCallError, type ClientOptions, type KeywardClient } from '../../src/client/index.js';
import * as accountMessages from '../../src/gen/keyward/account/v1/account_service.js';
import * as auditMessages from '../../src/gen/keyward/audit/v1/audit_service.js';
import * as statusMessages from '../../src/gen/keyward/coherence/v1/status_service.js';
import * as manifestMessages from '../../src/gen/keyward/manifest/v1/manifest_service.js';
import * as secretMessages from '../../src/gen/keyward/secret/v1/secret_service.js';
import * as importMessages from '../../src/gen/keyward/smarter/v1/import_service.js';
import * as holdMessages from '../../src/gen/keyward/token/v1/hold_verdicts.js';
import * as tokenMessages from '../../src/gen/keyward/token/v1/token_service.js';

/** What tests call the methods of TokenService that SecretService has by the same names. */
const OF_TOKENS = {
  attachReference: 'attachTokenReference',
  detachReference: 'detachTokenReference',
  listReferences: 'listTokenReferences',
} as const;

type OfTokens<Named> = {
  readonly [
    Name in keyof Named as Name extends keyof typeof OF_TOKENS ? (typeof OF_TOKENS)[Name] : Name
  ]: Named[Name];
};

/** ofTokens calls what TokenService has as tests do. */
export function ofTokens<Named extends object>(named: Named): OfTokens<Named> {
  const entries = Object.entries(named).map(([name, value]) => [
    (OF_TOKENS as Readonly<Record<string, string>>)[name] ?? name,
    value as unknown,
  ]);
  return Object.fromEntries(entries) as OfTokens<Named>;
}

type Methods = OfTokens<KeywardClient['tokens']> &
  KeywardClient['secrets'] &
  KeywardClient['accounts'] &
  KeywardClient['audit'] &
  KeywardClient['status'] &
  KeywardClient['manifests'] &
  KeywardClient['imports'];

/** MethodName is what tests call an RPC of any of the services. */
export type MethodName = keyof Methods;

/**
 * RequestOf is a request as tests write it: fields left out have their defaults. One without fields is an object too.
 * Of a method that takes a stream it is one of the requests.
 */
export type RequestOf<Name extends MethodName> = RequestMap[Name];

type RequestMap = {
  readonly [Name in MethodName]: (Parameters<Methods[Name]>[0] extends AsyncIterable<infer Request>
    ? Request
    : Parameters<Methods[Name]>[0]) &
    object;
};

const services = {
  ...ofTokens(tokenMessages.TokenServiceService),
  ...secretMessages.SecretServiceService,
  ...accountMessages.AccountServiceService,
  ...auditMessages.AuditServiceService,
  ...statusMessages.StatusServiceService,
  ...manifestMessages.ManifestServiceService,
  ...importMessages.ImportServiceService,
};
/** By the names of services. */
const messages: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'keyward.token.v1.TokenService': { ...tokenMessages, ...holdMessages },
  'keyward.secret.v1.SecretService': secretMessages,
  'keyward.account.v1.AccountService': accountMessages,
  'keyward.audit.v1.AuditService': auditMessages,
  'keyward.coherence.v1.StatusService': statusMessages,
  'keyward.manifest.v1.ManifestService': manifestMessages,
  'keyward.smarter.v1.ImportService': importMessages,
};

/** METHOD_NAMES are all RPCs of all services, from the generated definitions. */
export const METHOD_NAMES = Object.keys(services) as MethodName[];

export function pathOf(name: MethodName): string {
  return services[name].path;
}

/** encodeRequest makes the bytes of a request. */
export function encodeRequest<Name extends MethodName>(name: Name, request: RequestOf<Name>): Buffer {
  const [, service = '', method = ''] = pathOf(name).split('/');
  const type = messages[service]?.[`${method}Request`] as { fromPartial(partial: object): unknown };
  const serialize = services[name].requestSerialize as (value: unknown) => Buffer;
  return serialize(type.fromPartial(request));
}

/** decodeRequest reads a request as a handler gets it. */
export function decodeRequest(name: MethodName, bytes: Buffer): unknown {
  return services[name].requestDeserialize(bytes);
}

/** Outcome is how a call ended, down to the bytes that the client got. */
export interface Outcome {
  /** Name of the status code. */
  readonly code: string;
  /** Reason of the ErrorInfo; empty for OK. */
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly { readonly field: string; readonly rule: string }[];
  /** All trailers but the date, as text, binary ones in hexadecimal. */
  readonly trailers: string;
  /** The message; of a stream, all of them in one: a field of the last counts. */
  readonly response: Buffer;
}

/** Peer calls with its own credentials and sees the bare outcome. */
export class Peer {
  readonly #client: Client;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(address: string, options: ClientOptions = {}, headers: Readonly<Record<string, string>> = {}) {
    const { token } = options;
    this.#client = new Client(...channelArguments({ ...options, server: address }));
    this.#headers = token === undefined ? headers : { authorization: `Bearer ${token}`, ...headers };
  }

  call<Name extends MethodName>(name: Name, request: RequestOf<Name>): Promise<Outcome> {
    return this.callRaw(name, encodeRequest(name, request));
  }

  /** callRaw sends bytes as they are. A watch, which has no end, is ended after its first message. */
  callRaw(name: MethodName, bytes: Buffer): Promise<Outcome> {
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(this.#headers)) metadata.set(key, value);
    const same = (value: Buffer): Buffer => value;
    // A unary call is a stream of one message, for both sides.
    const call = this.#client.makeServerStreamRequest(pathOf(name), same, same, bytes, metadata, {
      deadline: Date.now() + 20_000,
    });
    const received: Buffer[] = [];
    return new Promise((resolve) => {
      call.on('data', (message: Buffer) => {
        received.push(message);
        if (!isWatch(name)) return;
        resolve(succeeded(message));
        call.cancel();
      });
      call.on('end', () => resolve(succeeded(Buffer.concat(received))));
      call.on('error', (error: ServiceError) => resolve(failed(error)));
    });
  }

  close(): void {
    this.#client.close();
  }
}

/** isWatch tells the methods that answer until their client ends them. */
export function isWatch(name: MethodName): boolean {
  return name.startsWith('watch');
}

/** outcomeOf is the code and reason of a typed client's call: `OK`, or for example `NOT_FOUND NOT_FOUND`. */
export async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'OK';
  } catch (error) {
    if (!(error instanceof KeywardCallError)) throw error;
    return `${error.codeName} ${error.reason}`;
  }
}

function succeeded(response: Buffer): Outcome {
  return { code: 'OK', reason: '', message: '', metadata: {}, violations: [], trailers: '', response };
}

function failed(error: ServiceError): Outcome {
  const { reason, metadata, violations } = toCallError(error);
  const trailers = Object.keys(error.metadata.getMap())
    .filter((key) => key !== 'date')
    .sort()
    .map((key) => `${key}: ${error.metadata.get(key).map(asText).join()}`);
  return {
    code: status[error.code],
    reason,
    message: error.details,
    metadata: Object.fromEntries(metadata),
    violations,
    trailers: trailers.join('\n'),
    response: Buffer.alloc(0),
  };
}

function asText(value: string | Buffer): string {
  return typeof value === 'string' ? value : value.toString('hex');
}
