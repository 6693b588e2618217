import { status } from '@grpc/grpc-js';
import { Violations } from '../lib/violations.js';
import type { Handler } from '../rpc/handlers.js';
import { VALIDATE_WEIGHT } from '../token/validate-handler.js';
import { deniedMessage, SCOPES_EXTENSION, type AskedByEnvoy, type CheckCodec } from './check-codec.js';
import { JUDGING, type Judge, type Ruling } from './judge.js';
import { isUndecided, refusalOf, UNDECIDABLE, type Refused } from './refusal.js';
import { readScopes } from './required-scopes.js';

/** Envoy sends the headers of a request, 60 KiB of them unless told otherwise, and its client's certificate. */
const MAX_REQUEST_BYTES = 256 * 1024;

const GRPC_CODES = { 401: status.UNAUTHENTICATED, 403: status.PERMISSION_DENIED, 503: status.UNAVAILABLE };
const UNDECIDABLE_MESSAGE = deniedMessage(UNDECIDABLE, status.UNAVAILABLE);

/** checkHandlers answer Envoy with encoded messages, from memory wherever it can. */
export function checkHandlers(
  judge: Judge,
  codec: CheckCodec,
): { readonly check: Handler<AskedByEnvoy, Buffer> } {
  const routes = new Routes();
  return {
    check: {
      permission: JUDGING,
      maxRequestBytes: MAX_REQUEST_BYTES,
      servesStaleCallers: true,
      weight: VALIDATE_WEIGHT,
      answerFromMemory: ({ credential, scopeTexts }) => {
        const requiredScopes = routes.scopesOf(scopeTexts);
        if (requiredScopes === undefined) return undefined;
        const ruling = judge.ruleFromMemory({ credential, requiredScopes });
        return ruling && toMessage(codec, ruling, requiredScopes);
      },
      handle: async ({ credential, scopeTexts }) => {
        const v = new Violations();
        const requiredScopes = readScopes(v, SCOPES_FIELD, scopeTexts);
        v.throwIfAny();
        return toMessage(codec, await judge.rule({ credential, requiredScopes }), requiredScopes);
      },
      // Envoy would make 403 of a status.
      answerFailure: (error) => (isUndecided(error) ? UNDECIDABLE_MESSAGE : undefined),
    },
  };
}

const SCOPES_FIELD = `attributes.context_extensions.${SCOPES_EXTENSION}`;

const MAX_ROUTES = 1000;

/** Routes keeps what the texts of the last routes demand. */
class Routes {
  readonly #scopes = new Map<string, readonly string[] | undefined>();

  /** scopesOf is undefined for texts that are refused. */
  scopesOf(texts: readonly string[]): readonly string[] | undefined {
    const [text] = texts;
    if (text === undefined) return texts;
    if (texts.length > 1 || text.length > MAX_REQUEST_BYTES / MAX_ROUTES) return read(texts);
    const known = this.#scopes.get(text);
    if (known !== undefined) return known;
    const scopes = read(texts);
    if (this.#scopes.size >= MAX_ROUTES) this.#scopes.clear();
    this.#scopes.set(text, scopes);
    return scopes;
  }
}

function read(texts: readonly string[]): readonly string[] | undefined {
  const v = new Violations();
  const scopes = readScopes(v, SCOPES_FIELD, texts);
  return v.any ? undefined : scopes;
}

function toMessage(codec: CheckCodec, ruling: Ruling, requiredScopes: readonly string[]): Buffer {
  return ruling.passing === undefined
    ? refusedMessage(ruling, requiredScopes)
    : codec.okMessage(ruling.passing, ruling.credential);
}

function refusedMessage(refused: Refused, requiredScopes: readonly string[]): Buffer {
  const refusal = refusalOf(refused, requiredScopes);
  return deniedMessage(refusal, GRPC_CODES[refusal.status], refused);
}
