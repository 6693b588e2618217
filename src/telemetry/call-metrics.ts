import { Counter, Histogram, type Registry } from 'prom-client';

interface MethodLabels {
  readonly grpc_service: string;
  readonly grpc_method: string;
}

/** AnsweredAtOnce counts the calls of one method that were answered from memory. Adding one is all it costs them. */
export interface AnsweredAtOnce {
  count: number;
}

const METHOD_LABELS = ['grpc_service', 'grpc_method'] as const;
const DURATIONS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** CallMetrics counts gRPC calls by method and status code, and measures those that memory alone could not answer. */
export class CallMetrics {
  readonly #handled: Counter<'grpc_service' | 'grpc_method' | 'grpc_code'>;
  readonly #handling: Histogram<'grpc_service' | 'grpc_method'>;
  readonly #atOnce: { readonly labels: MethodLabels; readonly answered: AnsweredAtOnce }[] = [];

  constructor(registry: Registry) {
    const takeAtOnce = (): void => {
      for (const { labels, answered } of this.#atOnce) {
        this.#handled.inc({ ...labels, grpc_code: 'OK' }, answered.count);
        answered.count = 0;
      }
    };
    this.#handled = new Counter({
      name: 'keyward_grpc_server_handled_total',
      help: 'gRPC calls that have ended, by method and status code.',
      labelNames: [...METHOD_LABELS, 'grpc_code'],
      registers: [registry],
      collect: takeAtOnce,
    });
    this.#handling = new Histogram({
      name: 'keyward_grpc_server_handling_seconds',
      help: 'Seconds that gRPC calls took, by method. Calls answered from memory at once are not among them.',
      labelNames: METHOD_LABELS,
      buckets: DURATIONS_SECONDS,
      registers: [registry],
    });
  }

  /** answeredAtOnce gives the count of one method, `/package.Service/Method`. */
  answeredAtOnce(path: string): AnsweredAtOnce {
    const answered = { count: 0 };
    this.#atOnce.push({ labels: labelsOf(path), answered });
    return answered;
  }

  /** ended counts a call with the name of its status code. */
  ended(path: string, code: string, seconds: number): void {
    const labels = labelsOf(path);
    this.#handled.inc({ ...labels, grpc_code: code });
    this.#handling.observe({ ...labels }, seconds);
  }
}

function labelsOf(path: string): MethodLabels {
  const [, service = '', method = ''] = path.split('/');
  return { grpc_service: service, grpc_method: method };
}
