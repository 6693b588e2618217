import type { Readiness } from '../../../telemetry/probe-server.js';
import type { MetricsSnapshot } from '../../../telemetry/metrics.js';

/** StartOrder is what a worker needs besides the settings, which it reads from the environment as its parent did. */
export interface StartOrder {
  readonly type: 'start';
  /** From 1 on; a worker that takes the place of another has its number. */
  readonly worker: number;
  /** Tells this process from all others that ever were. */
  readonly replicaId: string;
  readonly databaseUrl: string;
  /** Port to serve gRPC on, never 0. */
  readonly port: number;
  /** Port to answer gateways on, never 0; undefined for none. */
  readonly gatewayPort: number | undefined;
}

/** ToWorker is what the main process sends. Its channel is a socket pair that no other process can read. */
export type ToWorker =
  | StartOrder
  | { readonly type: 'ask'; readonly id: number; readonly about: keyof WorkerAnswers }
  | { readonly type: 'reload' }
  | { readonly type: 'stop' };

/** WorkerAnswers is what a worker can be asked about. */
export interface WorkerAnswers {
  readonly readiness: Readiness;
  readonly metrics: MetricsSnapshot;
}

/** FromWorker is what a worker sends. */
export type FromWorker =
  /** It listens to messages; what was sent before would be lost. */
  | { readonly type: 'ready' }
  | { readonly type: 'listening' }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'answer'; readonly id: number; readonly value: WorkerAnswers[keyof WorkerAnswers] };
