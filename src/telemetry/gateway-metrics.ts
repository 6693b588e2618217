import { Counter, Histogram, type Registry } from 'prom-client';

const DURATIONS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** GatewayMetrics counts what gateways ask over HTTP. Envoy's calls are gRPC calls and counted with those. */
export class GatewayMetrics {
  readonly #requests: Counter<'endpoint' | 'status'>;
  readonly #durations: Histogram<'endpoint'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#requests = new Counter({
      name: 'keyward_gateway_requests_total',
      help: 'Requests on the listener of gateways that have ended, by endpoint and HTTP status.',
      labelNames: ['endpoint', 'status'],
      registers,
    });
    this.#durations = new Histogram({
      name: 'keyward_gateway_request_seconds',
      help: 'Seconds that they took, by endpoint.',
      labelNames: ['endpoint'],
      buckets: DURATIONS_SECONDS,
      registers,
    });
  }

  /** ended counts a request. `endpoint` is one of those that there are. */
  ended(endpoint: string, status: number, seconds: number): void {
    this.#requests.inc({ endpoint, status });
    this.#durations.observe({ endpoint }, seconds);
  }
}
