import { checkOptions, TEXT, TEXTS, type Rules } from '../transport/options.js';
import type { Validator } from '../validator/validator.js';
import { Decider, rememberVerdict, type Refused } from './decision.js';

export interface HttpAuthOptions {
  /** Scopes that every request needs; none if not given. */
  readonly scopes?: readonly string[];
  /** The realm of challenges; `api` if not given. */
  readonly realm?: string;
}

const RULES: Rules<HttpAuthOptions> = { scopes: TEXTS, realm: TEXT };

/** HttpRequest is a request of Node's HTTP server, as Express and Connect hand it on. */
export interface HttpRequest {
  readonly headers: { readonly authorization?: string | undefined };
  readonly socket?: object;
}

/** HttpResponse is a response of Node's HTTP server. */
export interface HttpResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/**
 * httpAuth makes a middleware for Express, Connect and what else calls `(request, response, next)`. Requests with credentials that pass
 * go on, and `verdictOf(request)` tells whose they are. Others are answered with 401, 403 for a missing scope, or 503 where nobody
 * can tell.
 */
export function httpAuth(
  validator: Validator,
  options: HttpAuthOptions = {},
): (request: HttpRequest, response: HttpResponse, next: (error?: unknown) => void) => void {
  checkOptions('httpAuth', options, RULES);
  const { scopes = [], realm = 'api' } = options;
  const decider = new Decider(validator);
  return (request, response, next) => {
    decider.decide(request.headers.authorization, request.socket, { scopes, realm }).then((decision) => {
      if ('refused' in decision) {
        answer(response, decision.refused);
        return;
      }
      rememberVerdict(request, decision.verdict);
      next();
    }, next);
  };
}

/** FastifyRequestLike is what a hook of Fastify needs of a request. */
export interface FastifyRequestLike {
  readonly headers: { readonly authorization?: string | undefined };
  readonly raw: { readonly socket?: object };
}

/** FastifyReplyLike is what a hook of Fastify needs of a reply. */
export interface FastifyReplyLike {
  code(statusCode: number): unknown;
  header(name: string, value: string): unknown;
  send(body: unknown): unknown;
}

/** fastifyAuth makes an `onRequest` hook of Fastify that does what `httpAuth` does. */
export function fastifyAuth(
  validator: Validator,
  options: HttpAuthOptions = {},
): (request: FastifyRequestLike, reply: FastifyReplyLike) => Promise<void> {
  checkOptions('fastifyAuth', options, RULES);
  const { scopes = [], realm = 'api' } = options;
  const decider = new Decider(validator);
  return async (request, reply) => {
    const { authorization } = request.headers;
    const decision = await decider.decide(authorization, request.raw.socket, { scopes, realm });
    if ('verdict' in decision) {
      rememberVerdict(request, decision.verdict);
      return;
    }
    const { statusCode, headers, ...body } = decision.refused;
    reply.code(statusCode);
    for (const [name, value] of Object.entries(headers)) reply.header(name, value);
    reply.send(body);
  };
}

function answer(response: HttpResponse, { statusCode, headers, ...body }: Refused): void {
  response.statusCode = statusCode;
  response.setHeader('content-type', 'application/json');
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(JSON.stringify(body));
}
