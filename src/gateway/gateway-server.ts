/**
 * `gateway/` answers gateways: Envoy's Check on the port of gRPC, and on a listener of its own over HTTP what proxies,
 * resource servers and operators of secrets ask.
 *
 *     const gateways = await GatewayServer.open(config.gatewayListen, tls, dependencies);
 */

import { once } from 'node:events';
import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { limitConnections } from '../lib/connection-limit.js';
import { addressText, listenOptions, type ListenAddress } from '../lib/listen-address.js';
import { LoadLimit } from '../rpc/front-door/load-limit.js';
import type { ServerTls } from '../rpc/server-tls.js';
import type { GatewayMetrics } from '../telemetry/gateway-metrics.js';
import { endpoints, type Endpoint, type EndpointDependencies } from './http-endpoints.js';
import { jsonAnswer, type HttpAnswer } from './http-error.js';
import { RETRY_AFTER_SECONDS } from './refusal.js';

export interface GatewayServerDependencies extends EndpointDependencies {
  readonly metrics: Pick<GatewayMetrics, 'ended'>;
  /** Most connections. */
  readonly maxConnections: number;
  /** Milliseconds in which a request must have come whole. */
  readonly requestMs: number;
  /** Milliseconds that a connection may stand still. */
  readonly idleMs: number;
}

/** Requests that are worked on at once. */
const MAX_REQUESTS = 1_000;
/** A request to introspect has one token, one for a secret a few names. */
const MAX_BODY_BYTES = 16 * 1024;
/** Proxies hand on what their clients send: nginx up to 32 KiB. */
const MAX_HEADER_BYTES = 40 * 1024;
const CHECK_EVERY_MS = 1_000;
const NO_STORE = 'no-store';
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'] as const;

const OVERLOADED = jsonAnswer(503, { error: 'temporarily_unavailable' }, [
  ['retry-after', RETRY_AFTER_SECONDS],
]);
const NOT_FOUND = jsonAnswer(404, { error: 'not_found' });

/** GatewayServer is the listener of gateways. */
export class GatewayServer {
  readonly port: number;
  readonly #server: Server | TlsServer;
  readonly #stopping: { isStopping: boolean };

  private constructor(server: Server, port: number, stopping: { isStopping: boolean }) {
    this.#server = server;
    this.port = port;
    this.#stopping = stopping;
  }

  /** open listens. With client authorities, every client must present a certificate, as for gRPC. */
  static async open(
    listen: ListenAddress,
    tls: ServerTls | undefined,
    dependencies: GatewayServerDependencies,
  ): Promise<GatewayServer> {
    const server = newServer(tls, dependencies);
    const stopping = { isStopping: false };
    await router(server, dependencies, stopping).ready();
    server.listen(listenOptions(listen));
    try {
      await once(server, 'listening');
    } catch (error) {
      const why = error instanceof Error ? error.message : '';
      const where = `${addressText(listen)} (KEYWARD_GATEWAY_LISTEN)`;
      throw new Error(`cannot listen on ${where}: ${why}`, { cause: error });
    }
    return new GatewayServer(server, (server.address() as AddressInfo).port, stopping);
  }

  /** renew has it use other files of TLS for the connections to come. */
  renew(tls: ServerTls): void {
    if (this.#server instanceof TlsServer) this.#server.setSecureContext(contextOf(tls));
  }

  /** close lets requests under way end, for at most `limitMs`, then ends them. */
  async close(limitMs: number): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#stopping.isStopping = true;
    this.#server.close();
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => {
      this.#server.closeAllConnections();
    }, limitMs);
    await closed;
    clearTimeout(timer);
  }
}

function newServer(
  tls: ServerTls | undefined,
  { requestMs, idleMs, maxConnections }: GatewayServerDependencies,
): Server {
  const options: ServerOptions = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: requestMs,
    requestTimeout: requestMs,
    keepAliveTimeout: idleMs,
    connectionsCheckingInterval: CHECK_EVERY_MS,
  };
  const server =
    tls === undefined
      ? createServer(options)
      : createTlsServer({
          ...options,
          ...contextOf(tls),
          requestCert: tls.ca !== null,
          rejectUnauthorized: tls.ca !== null,
          handshakeTimeout: requestMs,
        });
  server.timeout = idleMs;
  limitConnections(server, maxConnections);
  return server;
}

function contextOf({ cert, key, ca }: ServerTls) {
  return { cert, key, ...(ca === null ? {} : { ca }) };
}

/** router has the server answer the endpoints. */
function router(
  server: Server,
  dependencies: GatewayServerDependencies,
  stopping: { readonly isStopping: boolean },
): FastifyInstance {
  const { metrics } = dependencies;
  const work = new LoadLimit(MAX_REQUESTS);
  const app = fastify({
    serverFactory: (handler) => server.on('request', handler),
    bodyLimit: MAX_BODY_BYTES,
    logger: false,
    routerOptions: { maxParamLength: MAX_HEADER_BYTES },
    exposeHeadRoutes: false,
    clientErrorHandler: refuseUnreadable,
  });
  app.removeAllContentTypeParsers();

  app.addHook('onRequest', (request, reply, done) => {
    reply.header('cache-control', NO_STORE);
    if (stopping.isStopping) reply.header('connection', 'close');
    const end = work.begin(Number(request.headers['content-length'] ?? 0))?.hold();
    if (end === undefined) return send(reply, OVERLOADED);
    reply.raw.once('close', end);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    const endpoint = request.routeOptions.url?.replace('::', ':') ?? 'other';
    metrics.ended(endpoint, reply.statusCode, reply.elapsedTime / 1000);
    done();
  });
  app.setNotFoundHandler((_, reply) => send(reply, NOT_FOUND));
  app.setErrorHandler(({ statusCode = 500 }: { statusCode?: number }, _, reply) => {
    send(reply, jsonAnswer(statusCode, { error: statusCode < 500 ? 'invalid_request' : 'server_error' }));
  });
  for (const endpoint of endpoints(dependencies)) serve(app, endpoint);
  return app;
}

function serve(app: FastifyInstance, { path, method, contentType, answer }: Endpoint): void {
  // A colon begins a parameter, two are one.
  const url = path.replace(':', '::');
  void app.register((scope, _, done) => {
    if (contentType !== undefined) {
      scope.addContentTypeParser(contentType, { parseAs: 'string' }, (_request, body, parsed) => {
        parsed(null, body);
      });
    }
    scope.route({
      method,
      url,
      handler: async (request: FastifyRequest, reply: FastifyReply) => {
        send(reply, await answer(request.raw, typeof request.body === 'string' ? request.body : ''));
        return reply;
      },
    });
    scope.route({
      method: METHODS.filter((other) => other !== method),
      url,
      // Nothing of a body is read.
      onRequest: (_request, reply) => {
        send(reply, jsonAnswer(405, { error: 'method_not_allowed' }, [['allow', method]]));
      },
      handler: () => undefined,
    });
    done();
  });
}

function send(reply: FastifyReply, { status, headers, body }: HttpAnswer): void {
  reply.code(status);
  for (const [name, value] of headers) reply.header(name, value);
  reply.header('cache-control', NO_STORE);
  reply.send(body);
}

/** refuseUnreadable answers what is no HTTP, is too large, or did not come in time. */
function refuseUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (socket.destroyed || !socket.writable) return;
  const [status, words] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout']
        : [400, 'Bad Request'];
  const body = '{"error":"invalid_request"}\n';
  socket.end(
    `HTTP/1.1 ${status} ${words}\r\ncontent-type: application/json\r\ncache-control: ${NO_STORE}\r\n` +
      `content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
}
