import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { limitConnections } from '../lib/connection-limit.js';
import { addressText, listenOptions, type ListenAddress } from '../lib/listen-address.js';
import type { Logger } from './logger.js';

/** Readiness is what gRPC health says, and why. */
export interface Readiness {
  readonly status: 'SERVING' | 'NOT_SERVING';
  /** Why it is not serving; nothing that would help an attacker. */
  readonly reason?: string;
  /** Worker processes, where there are several: how many there should be, and how many are SERVING. */
  readonly workers?: { readonly configured: number; readonly serving: number };
}

/** ProbeSource is the service that is probed. */
export interface ProbeSource {
  readiness(): Promise<Readiness>;
  /** metrics are in the text format of Prometheus. */
  metrics(): Promise<string>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const TEXT = 'text/plain; charset=utf-8';
const METRICS_TEXT = 'text/plain; version=0.0.4; charset=utf-8';

const LIMITS = {
  maxHeaderSize: 8 * 1024,
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
};
/** The one that has asked nothing for the longest makes room for a new one. */
const MAX_CONNECTIONS = 64;
/** Milliseconds that a connection may stand still, for example because nobody reads the answer. */
const IDLE_LIMIT_MS = 10_000;

const STARTING: ProbeSource = {
  readiness: () => Promise.resolve({ status: 'NOT_SERVING', reason: 'starting' }),
  metrics: () => Promise.resolve(''),
};

/** ProbeServer shows health and metrics to probes and to Prometheus: three paths, read by GET, and nothing else. */
export class ProbeServer {
  readonly address: string;
  readonly #server: Server;
  readonly #logger: Logger;
  #source = STARTING;

  private constructor(server: Server, address: string, logger: Logger) {
    this.#server = server;
    this.address = address;
    this.#logger = logger;
    server.on('request', (request, response) => void this.#respond(request, response));
  }

  /** open listens. It says that the service is starting until `show` is called. */
  static async open(listen: ListenAddress, logger: Logger): Promise<ProbeServer> {
    const server = createServer(LIMITS);
    server.timeout = IDLE_LIMIT_MS;
    limitConnections(server, MAX_CONNECTIONS);
    server.listen(listenOptions(listen));
    try {
      await once(server, 'listening');
    } catch (error) {
      const why = error instanceof Error ? error.message : '';
      throw new Error(`cannot serve health and metrics on ${addressText(listen)}: ${why}`, { cause: error });
    }
    const { port } = server.address() as AddressInfo;
    return new ProbeServer(server, addressText({ ...listen, port }), logger);
  }

  /** show says which service is probed. */
  show(source: ProbeSource): void {
    this.#source = source;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await this.#answer(request).catch((error: unknown) => {
      this.#logger.warn({ err: error, path: pathOf(request) }, 'health or metrics could not be told');
      return { status: 500, type: TEXT, body: 'failed\n' };
    });
    response.setHeader('content-type', answer.type);
    response.setHeader('cache-control', 'no-store');
    if (answer.status === 405) response.setHeader('allow', 'GET');
    // The connection ends with a request that is not plain, so that nothing of a body is read.
    if (answer.status === 405 || answer.status === 413) response.setHeader('connection', 'close');
    response.statusCode = answer.status;
    response.end(answer.body);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    if (request.method !== 'GET') return { status: 405, type: TEXT, body: 'only GET\n' };
    if (hasBody(request)) return { status: 413, type: TEXT, body: 'no body\n' };
    switch (pathOf(request)) {
      case '/healthz':
        return { status: 200, type: TEXT, body: 'ok\n' };
      case '/readyz':
        return readinessAnswer(await this.#source.readiness());
      case '/metrics':
        return { status: 200, type: METRICS_TEXT, body: await this.#source.metrics() };
      default:
        return { status: 404, type: TEXT, body: 'only /healthz, /readyz and /metrics\n' };
    }
  }
}

function readinessAnswer(readiness: Readiness): Answer {
  return {
    status: readiness.status === 'SERVING' ? 200 : 503,
    type: 'application/json',
    body: `${JSON.stringify(readiness)}\n`,
  };
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '';
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
