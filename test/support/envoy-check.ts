import { Metadata, type ServiceError } from '@grpc/grpc-js';
import {
  AuthorizationClient,
  type CheckRequest,
  type CheckResponse,
} from '../../src/gen/envoy/service/auth/v3/external_auth.js';
import { channelArguments } from './channel-arguments.js';
import type { ClientOptions } from '../../src/client/index.js';

/** Asked is what Envoy hands on of a request and its route. */
export interface Asked {
  readonly headers?: Readonly<Record<string, string>>;
  /** Headers in the raw form, in which a name may be there twice. */
  readonly raw?: readonly (readonly [string, string])[];
  readonly extensions?: Readonly<Record<string, string>>;
}

/** EnvoyCheck asks as Envoy does. */
export class EnvoyCheck {
  readonly #client: AuthorizationClient;
  readonly #metadata = new Metadata();

  constructor(options: ClientOptions) {
    this.#client = new AuthorizationClient(...channelArguments(options));
    if (options.token !== undefined) this.#metadata.set('authorization', `Bearer ${options.token}`);
  }

  ask(asked: Asked): Promise<CheckResponse> {
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + 20_000;
      this.#client.check(
        requestOf(asked),
        this.#metadata,
        { deadline },
        (error: ServiceError | null, response) => {
          if (error === null) resolve(response);
          else reject(error);
        },
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}

export function requestOf({ headers = {}, raw, extensions = {} }: Asked): CheckRequest {
  const list = raw?.map(([key, value]) => ({ key, value: '', rawValue: Buffer.from(value, 'latin1') }));
  return {
    attributes: {
      request: {
        http: {
          headers: new Map(Object.entries(headers)),
          headerMap: list && { headers: list },
        },
      },
      contextExtensions: new Map(Object.entries(extensions)),
    },
  };
}

/** Told is an answer in short: of a denied request what its client gets, of another what the upstream does. */
export interface Told {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly removed: readonly string[];
  readonly body: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export function toldBy({ status, httpResponse, dynamicMetadata = {} }: CheckResponse): Told {
  const value = httpResponse?.value;
  const headers = (value?.headers ?? []).map(({ header }) => [header?.key, header?.value]);
  const isDenied = httpResponse?.$case === 'deniedResponse';
  if (isDenied !== ((status?.code ?? 0) !== 0)) throw new Error('the status is not that of the response');
  return {
    status: isDenied ? (httpResponse.value.status?.code ?? 0) : 200,
    headers: Object.fromEntries(headers) as Record<string, string>,
    removed: httpResponse?.$case === 'okResponse' ? httpResponse.value.headersToRemove : [],
    body: isDenied ? httpResponse.value.body : '',
    metadata: dynamicMetadata,
  };
}
