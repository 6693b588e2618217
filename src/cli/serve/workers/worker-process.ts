import cluster, { type Worker } from 'node:cluster';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Readiness } from '../../../telemetry/probe-server.js';
import type { MetricsSnapshot } from '../../../telemetry/metrics.js';
import { closeWhatIsNotTaken } from './handed-connections.js';
import type { FromWorker, StartOrder, ToWorker, WorkerAnswers } from './messages.js';

/** WorkerEnd is how a worker ended: by itself with a status, or by a signal. */
export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: string | null;
  /** What it said before, if it could not start. */
  readonly reason: string | undefined;
}

const MAIN = fileURLToPath(new URL('worker-main.js', import.meta.url));
/** A worker that does not answer within this time is not well. */
const ANSWER_LIMIT_MS = 1_000;

/** WorkerProcess is one worker, seen from the main process. */
export class WorkerProcess {
  readonly replicaId = randomUUID();
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (value: unknown) => void>();
  readonly #ended: Promise<WorkerEnd>;
  /** Messages until the worker is ready for them. */
  #unsent: ToWorker[] | undefined = [];
  #asked = 0;
  #listeningSince: number | undefined;
  #reason: string | undefined;
  #lastMetrics: MetricsSnapshot = [];

  constructor(order: Omit<StartOrder, 'type' | 'replicaId'>) {
    // Not JSON, which has no NaN: metrics do.
    cluster.setupPrimary({ exec: MAIN, args: [], serialization: 'advanced' });
    this.#worker = cluster.fork();
    closeWhatIsNotTaken(this.#worker.process);
    this.#worker.on('message', (message: FromWorker) => {
      this.#onMessage(message);
    });
    // A message to a worker that has just ended; its end is told by itself.
    this.#worker.on('error', () => undefined);
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', (code: number | null, signal: string | null) => {
        for (const give of this.#waiting.values()) give(undefined);
        resolve({ code, signal, reason: this.#reason });
      });
    });
    this.#send({ ...order, type: 'start', replicaId: this.replicaId });
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  get ended(): Promise<WorkerEnd> {
    return this.#ended;
  }

  get isListening(): boolean {
    return this.#listeningSince !== undefined && !this.#worker.isDead();
  }

  /** servedMs is for how long it has listened; 0 if it never came to that. */
  get servedMs(): number {
    return this.#listeningSince === undefined ? 0 : performance.now() - this.#listeningSince;
  }

  /** listening resolves when it listens, and rejects if it ends before. */
  async listening(): Promise<void> {
    if (this.isListening) return;
    await new Promise<void>((resolve, reject) => {
      this.#worker.on('message', ({ type }: FromWorker) => {
        if (type === 'listening') resolve();
      });
      void this.#ended.then((end) => {
        reject(new Error(whyEnded(end)));
      });
    });
  }

  /** readiness is undefined if the worker does not answer in time. */
  readiness(): Promise<Readiness | undefined> {
    return this.#ask('readiness');
  }

  /** metrics are the last known ones if the worker does not answer in time. */
  async metrics(): Promise<MetricsSnapshot> {
    this.#lastMetrics = (await this.#ask('metrics')) ?? this.#lastMetrics;
    return this.#lastMetrics;
  }

  get lastMetrics(): MetricsSnapshot {
    return this.#lastMetrics;
  }

  reload(): void {
    this.#send({ type: 'reload' });
  }

  /** stop lets it end in order, for at most `limitMs`. */
  async stop(limitMs: number): Promise<void> {
    this.#send({ type: 'stop' });
    const timer = setTimeout(() => {
      this.kill();
    }, limitMs);
    await this.#ended;
    clearTimeout(timer);
  }

  /** kill ends it at once. */
  kill(): void {
    this.#worker.process.kill('SIGKILL');
  }

  #onMessage(message: FromWorker): void {
    switch (message.type) {
      case 'ready':
        return this.#sendUnsent();
      case 'listening':
        this.#listeningSince = performance.now();
        return;
      case 'failed':
        this.#reason = message.reason;
        return;
      case 'answer':
        this.#waiting.get(message.id)?.(message.value);
    }
  }

  async #ask<About extends keyof WorkerAnswers>(about: About): Promise<WorkerAnswers[About] | undefined> {
    const id = (this.#asked += 1);
    try {
      return await new Promise<WorkerAnswers[About] | undefined>((resolve) => {
        const timer = setTimeout(resolve, ANSWER_LIMIT_MS, undefined);
        this.#waiting.set(id, (value) => {
          clearTimeout(timer);
          resolve(value as WorkerAnswers[About] | undefined);
        });
        this.#send({ type: 'ask', id, about });
      });
    } finally {
      this.#waiting.delete(id);
    }
  }

  #send(message: ToWorker): void {
    if (this.#unsent === undefined) this.#worker.send(message, () => undefined);
    else this.#unsent.push(message);
  }

  #sendUnsent(): void {
    const messages = this.#unsent ?? [];
    this.#unsent = undefined;
    for (const message of messages) this.#send(message);
  }
}

/** whyEnded says it in words. */
export function whyEnded({ code, signal, reason }: WorkerEnd): string {
  return (
    reason ??
    (signal === null ? `a worker ended with status ${code ?? 0}` : `a worker was ended by ${signal}`)
  );
}
