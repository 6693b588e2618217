import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Caller } from '../authz/caller.js';
import { credentialsRefused, type KeywardError } from '../lib/errors.js';
import { checked } from '../lib/violations.js';
import { directChain, Malformed, type ChainDependencies } from '../rpc/chain.js';
import { toKeywardError } from '../rpc/error-status.js';
import type { Handler } from '../rpc/handlers.js';
import { accessHandlers } from '../secret/access/access-handler.js';
import type { AccessService } from '../secret/access/access-service.js';
import { VALIDATE_WEIGHT } from '../token/validate-handler.js';
import type { Passing } from '../token/verdicts.js';
import { accessJson, readAccessJson } from './access-codec.js';
import { CredentialFinder, type Credential } from './credential.js';
import {
  authContext,
  gatewayCredentials,
  ownCredentials,
  peerOf,
  type HttpCredentials,
} from './http-credentials.js';
import { failureAnswer, jsonAnswer, type HttpAnswer } from './http-error.js';
import { gatewayIdentity, identityHeaders } from './identity-headers.js';
import { introspectionOf } from './introspection.js';
import { JUDGING, type Judge } from './judge.js';
import { isUndecided, refusalOf, UNDECIDABLE } from './refusal.js';
import { readScopes } from './required-scopes.js';

/** Endpoint answers the requests of one path. */
export interface Endpoint {
  readonly path: string;
  readonly method: 'GET' | 'POST';
  /** Of the body; undefined where there is none. */
  readonly contentType: string | undefined;
  /** answer does not throw. */
  readonly answer: (message: IncomingMessage, body: string) => Promise<HttpAnswer>;
}

export interface EndpointDependencies {
  readonly judge: Judge;
  readonly access: AccessService;
  readonly chain: ChainDependencies;
  /** Names, in lower case, of the headers that may hold a client's credential. */
  readonly credentialHeaders: readonly string[];
}

/** Asked is a request, and the key that the caller says to be, where it says so. */
interface Asked<Request> {
  readonly request: Request;
  readonly keyId: string | undefined;
}

/** endpoints are all that there are. */
export function endpoints(dependencies: EndpointDependencies): readonly Endpoint[] {
  return [forwardAuth(dependencies), introspect(dependencies), accessSecret(dependencies)];
}

/** forwardAuth tells a proxy whether a request passes, by status and headers. */
function forwardAuth({ judge, chain, credentialHeaders }: EndpointDependencies): Endpoint {
  const path = '/auth';
  const names = new Set(credentialHeaders);
  const ask = viaChain(chain, path, {
    ...JUDGES,
    handle: async (message: IncomingMessage) => {
      const requiredScopes = readQuery(message);
      const ruling = await judge.rule({ credential: presentedIn(message, names), requiredScopes });
      return ruling.passing === undefined ? refusalOf(ruling, requiredScopes) : passingAnswer(ruling.passing);
    },
  });
  // Of a fault proxies would make one of their own.
  const failed = (error: KeywardError): HttpAnswer =>
    isUndecided(error) ? UNDECIDABLE : failureAnswer(error);
  return {
    path,
    method: 'GET',
    contentType: undefined,
    answer: (message) => ask(message, gatewayCredentials(message), message, failed),
  };
}

/** introspect is RFC 7662. */
function introspect({ judge, chain }: EndpointDependencies): Endpoint {
  const path = '/introspect';
  const ask = viaChain(chain, path, {
    ...JUDGES,
    handle: async (body: string) => {
      const credential = { token: readIntrospection(body), headers: [] };
      return jsonAnswer(200, introspectionOf(await judge.rule({ credential, requiredScopes: [] })));
    },
  });
  return {
    path,
    method: 'POST',
    contentType: 'application/x-www-form-urlencoded',
    answer: (message, body) => ask(message, ownCredentials(message), body, failureAnswer),
  };
}

/** accessSecret is AccessSecret in JSON, with its rights, its scope and its audit records. */
function accessSecret({ access, chain }: EndpointDependencies): Endpoint {
  const path = '/v1/secrets:access';
  const { handle, ...requirements } = accessHandlers(access).accessSecret;
  const ask = viaChain<Parameters<typeof handle>[0]>(chain, path, {
    ...requirements,
    handle: async (request, caller) => jsonAnswer(200, accessJson(await handle(request, caller))),
  });
  return {
    path,
    method: 'POST',
    contentType: 'application/json',
    answer: (message, body) => ask(message, ownCredentials(message), readAccessJson(body), failureAnswer),
  };
}

const JUDGES = { permission: JUDGING, servesStaleCallers: true, weight: VALIDATE_WEIGHT } as const;

/** viaChain has the requests of an endpoint go through the chain that gRPC calls go through. */
function viaChain<Request>(
  chain: ChainDependencies,
  path: string,
  { handle, ...requirements }: Omit<Handler<Request, HttpAnswer>, 'answerFromMemory' | 'answerFailure'>,
): (
  message: IncomingMessage,
  credentials: HttpCredentials,
  request: Request | Malformed,
  failed: (error: KeywardError) => HttpAnswer,
) => Promise<HttpAnswer> {
  const call = directChain(chain, path, {
    ...requirements,
    handle: async ({ request, keyId }: Asked<Request>, caller: Caller) => {
      if (keyId !== undefined && keyId !== caller.keyId) throw credentialsRefused();
      return handle(request, caller);
    },
  });
  return async (message, { authorization, keyId }, request, failed) => {
    const requestId = randomUUID();
    try {
      return await call({
        authorization,
        authContext: authContext(message),
        peer: peerOf(message),
        requestId,
        request: request instanceof Malformed ? request : { request, keyId },
        isGone: () => message.socket.destroyed,
      });
    } catch (error) {
      return failed(toKeywardError(error, requestId));
    }
  };
}

function passingAnswer({ record, stale }: Passing): HttpAnswer {
  return { status: 200, headers: identityHeaders(gatewayIdentity(record, stale)), body: '' };
}

function presentedIn({ rawHeaders }: IncomingMessage, names: ReadonlySet<string>): Credential | undefined {
  const finder = new CredentialFinder();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? '';
    if (names.has(name)) finder.add(name, rawHeaders[at + 1] ?? '');
  }
  return finder.found;
}

/** readQuery reads the scopes that a route demands. A parameter of another name may be a slip that would leave it open. */
function readQuery({ url = '' }: IncomingMessage): readonly string[] {
  const query = new URLSearchParams(url.slice(url.indexOf('?') + 1 || url.length));
  return checked((v) => {
    for (const name of new Set(query.keys())) v.check(name === 'scope', name.slice(0, 64), 'is no parameter');
    return readScopes(v, 'scope', query.getAll('scope'));
  });
}

function readIntrospection(body: string): string {
  const tokens = new URLSearchParams(body).getAll('token');
  return checked((v) => {
    const [token = ''] = tokens;
    v.check(token !== '' && tokens.length === 1, 'token', 'must be given once');
    return token;
  });
}
