import type { status } from '@grpc/grpc-js';
import { LRUCache } from 'lru-cache';
import { HeaderValueOption_HeaderAppendAction as AppendAction } from '../gen/envoy/config/core/v3/base.js';
import { AuthorizationService, CheckResponse } from '../gen/envoy/service/auth/v3/external_auth.js';
import { StatusCode } from '../gen/envoy/type/v3/http_status.js';
import { keyIdOf } from '../token/validate-codec.js';
import type { VerdictRecord } from '../token/verdict.js';
import type { Passing } from '../token/verdicts.js';
import { CredentialFinder, type Credential } from './credential.js';
import { gatewayIdentity, identityHeaders } from './identity-headers.js';
import type { Refusal, Refused } from './refusal.js';
import { WireFields } from './wire-fields.js';

/**
 * The codec of Envoy's question, which every request of a gateway waits for. It reads of a request what decides, in
 * place, and keeps for some thousand keys what an answer says of them.
 */

/** AskedByEnvoy is what a CheckRequest asks. */
export interface AskedByEnvoy {
  readonly credential: Credential | undefined;
  /** The values of the route's `required_scopes`. */
  readonly scopeTexts: readonly string[];
}

/** Numbers of fields. */
const ATTRIBUTES = 1;
const REQUEST = 4;
const CONTEXT_EXTENSIONS = 10;
const HTTP = 2;
const HEADERS = 3;
const HEADER_MAP = 13;
const KEY = 1;
const VALUE = 2;
const RAW_VALUE = 3;

export const SCOPES_EXTENSION = 'required_scopes';
const EXTENSIONS: ReadonlySet<string> = new Set([SCOPES_EXTENSION]);
const NO_TEXTS: readonly string[] = [];

/** Of `google.rpc.Status`. */
const OK = 0;
/** Bytes of what is kept; an entry is of one to some kilobytes. */
const MAX_KEPT_BYTES = 32 * 1024 * 1024;
/** What an entry takes besides its bytes. */
const ENTRY_BYTES = 512;

const STATUS_CODES = {
  401: StatusCode.Unauthorized,
  403: StatusCode.Forbidden,
  503: StatusCode.ServiceUnavailable,
} as const;

/** Kept is the answer for a key that was presented in those headers. */
interface Kept {
  readonly presentedIn: string;
  readonly message: Buffer;
}

export interface CheckCodecOptions {
  /** Names, in lower case, of the headers that may hold a client's credential. */
  readonly credentialHeaders: readonly string[];
  /** True to have the gateway take the credential out of the request. */
  readonly removesCredential: boolean;
}

export class CheckCodec {
  readonly #names: ReadonlySet<string>;
  readonly #lengths: ReadonlySet<number>;
  readonly #removesCredential: boolean;
  readonly #kept = new LRUCache<VerdictRecord, Kept>({
    maxSize: MAX_KEPT_BYTES,
    sizeCalculation: ({ message }, { answer }) => message.length + answer.length + ENTRY_BYTES,
  });

  constructor({ credentialHeaders, removesCredential }: CheckCodecOptions) {
    this.#names = new Set(credentialHeaders);
    this.#lengths = new Set(credentialHeaders.map(({ length }) => length));
    this.#removesCredential = removesCredential;
  }

  /** service is Envoy's, with this codec in the place of the generated one. */
  get service() {
    return {
      check: {
        ...AuthorizationService.check,
        requestDeserialize: (bytes: Buffer) => this.read(bytes),
        readsBytes: true as const,
        responseSerialize: (message: Buffer) => message,
      },
    };
  }

  /** read reads a CheckRequest. Throws on bytes that are none. */
  read(bytes: Buffer): AskedByEnvoy {
    const finder = new CredentialFinder();
    let scopeTexts = NO_TEXTS;
    const message = new WireFields(bytes.toString('latin1'), 0, bytes.length);
    while (message.next()) {
      if (message.field !== ATTRIBUTES) continue;
      const attributes = message.inner();
      while (attributes.next()) {
        if (attributes.field === REQUEST) this.#readRequest(attributes.inner(), finder);
        else if (attributes.field === CONTEXT_EXTENSIONS) {
          const text = valueOf(attributes.inner(), EXTENSIONS);
          if (text !== undefined) scopeTexts = [...scopeTexts, text.value];
        }
      }
    }
    return { credential: finder.found, scopeTexts };
  }

  /** okMessage is the CheckResponse for a request that passes. */
  okMessage({ record, stale }: Passing, { headers }: Credential): Buffer {
    if (stale) return this.#encodeOk(record, true, headers);
    const presentedIn = headers.length === 1 ? (headers[0] ?? '') : headers.join();
    const kept = this.#kept.get(record);
    if (kept?.presentedIn === presentedIn) return kept.message;
    const message = this.#encodeOk(record, false, headers);
    this.#kept.set(record, { presentedIn, message });
    return message;
  }

  #encodeOk(record: VerdictRecord, stale: boolean, presentedIn: readonly string[]): Buffer {
    const identity = gatewayIdentity(record, stale);
    const headersToRemove = this.#removesCredential ? [...presentedIn] : [];
    return encode({
      status: { code: OK, message: '', details: [] },
      httpResponse: {
        $case: 'okResponse',
        value: { headers: identityHeaders(identity).map(toOption), headersToRemove },
      },
      dynamicMetadata: {
        reason: 'OK',
        user: identity.user,
        account: identity.account,
        key_id: identity['key-id'],
        key_name: identity['key-name'],
        scopes: identity.scopes,
        stale,
      },
    });
  }

  #readRequest(request: WireFields, finder: CredentialFinder): void {
    while (request.next()) {
      if (request.field !== HTTP) continue;
      const http = request.inner();
      while (http.next()) {
        if (http.field === HEADERS) this.#readHeader(http, finder);
        else if (http.field === HEADER_MAP) {
          const headers = http.inner();
          while (headers.next()) if (headers.field === 1) this.#readHeader(headers, finder);
        }
      }
    }
  }

  #readHeader(fields: WireFields, finder: CredentialFinder): void {
    const length = fields.keyLength();
    // Most headers are told apart by their length alone.
    if (length !== undefined && !this.#lengths.has(length)) return;
    const header = valueOf(fields.inner(), this.#names);
    if (header !== undefined) finder.add(header.key, header.value);
  }
}

/** deniedMessage is the CheckResponse for a request that is refused. The client never sees the metadata. */
export function deniedMessage(refusal: Refusal, code: status, refused?: Refused): Buffer {
  const { headers, body } = refusal;
  const keyId = refused?.verdict?.record === undefined ? undefined : keyIdOf(refused.verdict.record);
  return encode({
    status: { code, message: '', details: [] },
    httpResponse: {
      $case: 'deniedResponse',
      value: { status: { code: STATUS_CODES[refusal.status] }, headers: headers.map(toOption), body },
    },
    dynamicMetadata: {
      reason: refused?.why ?? 'UNDECIDABLE',
      ...(keyId === undefined ? {} : { key_id: keyId }),
    },
  });
}

function encode(response: CheckResponse): Buffer {
  return Buffer.from(CheckResponse.encode(response).finish());
}

/** toOption discards whatever the client sent under that name. */
function toOption([key, value]: readonly [string, string]) {
  return {
    header: { key, value, rawValue: Buffer.alloc(0) },
    appendAction: AppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    keepEmptyValue: true,
  };
}

/** valueOf reads an entry of a map, or a HeaderValue, if its key is wanted. */
function valueOf(
  entry: WireFields,
  wanted: ReadonlySet<string>,
): { readonly key: string; readonly value: string } | undefined {
  let key = '';
  let value = '';
  while (entry.next()) {
    if (entry.field === KEY) {
      key = entry.text().toLowerCase();
      if (!wanted.has(key)) return undefined;
    } else if (entry.field === VALUE || entry.field === RAW_VALUE) value = entry.text();
  }
  return wanted.has(key) ? { key, value } : undefined;
}
