import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { listenOptions, type ListenAddress } from '../../../lib/listen-address.js';
import type { ProbeSource, Readiness } from '../../../telemetry/probe-server.js';
import type { Logger } from '../../../telemetry/logger.js';
import { MetricsSum } from '../../../telemetry/metrics-sum.js';
import { whyEnded, WorkerProcess, type WorkerEnd } from './worker-process.js';

/** WorkerDeath tells of a worker that ended although nobody wanted it to, or not in order. */
interface WorkerDeath extends WorkerEnd {
  readonly worker: number;
  readonly replicaId: string;
}

export interface WorkersDependencies {
  readonly count: number;
  /** Address that all workers share. */
  readonly listen: ListenAddress;
  /** The same for gateways; undefined for none. */
  readonly gatewayListen: ListenAddress | undefined;
  readonly databaseUrl: string;
  /** Milliseconds that a worker has to stop in order. */
  readonly stopLimitMs: number;
  readonly logger: Logger;
  /** Does what a dead worker can no longer do for itself. */
  readonly onWorkerDeath: (death: WorkerDeath) => void;
}

/** Slot is the place of one worker after another. */
interface Slot {
  readonly worker: number;
  current: WorkerProcess | undefined;
  /** Workers of this slot in a row that ended before they had served for long. */
  shortLived: number;
  /** Workers of this slot in a row that ended at once. */
  stillborn: number;
  restart: NodeJS.Timeout | undefined;
}

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;
/** Who served for this long has not ended at once. */
const AT_ONCE_MS = 1_000;
/** Who served for this long is replaced without much of a pause. */
const LONG_MS = 10_000;
const MAX_STILLBORN = 5;

/**
 * Workers are the processes that serve. One that ends is replaced, after a pause that grows while they do not
 * last. When the workers of a slot end at once time after time and no other worker is left, it gives up.
 */
export class Workers implements ProbeSource {
  /** port is the one that all workers share. */
  readonly port: number;
  readonly gatewayPort: number | undefined;
  /** failure resolves when it has given up. */
  readonly failure: Promise<Error>;
  readonly #dependencies: WorkersDependencies;
  readonly #slots: readonly Slot[];
  readonly #metrics = new MetricsSum();
  #giveUp: (error: Error) => void = () => undefined;
  #isStopping = false;

  private constructor(dependencies: WorkersDependencies, port: number, gatewayPort: number | undefined) {
    this.#dependencies = dependencies;
    this.port = port;
    this.gatewayPort = gatewayPort;
    this.failure = new Promise((resolve) => (this.#giveUp = resolve));
    this.#slots = Array.from({ length: dependencies.count }, (_, index) => ({
      worker: index + 1,
      current: undefined,
      shortLived: 0,
      stillborn: 0,
      restart: undefined,
    }));
    // However this process ends, but for SIGKILL: then the workers end as they miss it.
    process.on('exit', () => {
      for (const slot of this.#slots) slot.current?.kill();
    });
  }

  /** start starts all workers and waits until they listen. If one cannot, it ends the others and throws. */
  static async start(dependencies: WorkersDependencies): Promise<Workers> {
    const { listen, gatewayListen } = dependencies;
    const gatewayPort = gatewayListen && (await usablePort(gatewayListen));
    const workers = new Workers(dependencies, await usablePort(listen), gatewayPort);
    try {
      await Promise.all(workers.#slots.map((slot) => workers.#fork(slot).listening()));
      return workers;
    } catch (error) {
      await workers.stop();
      throw error;
    }
  }

  async readiness(): Promise<Readiness> {
    const told = await Promise.all(this.#running().map((running) => running.readiness()));
    const workers = {
      configured: this.#slots.length,
      serving: told.filter((readiness) => readiness?.status === 'SERVING').length,
    };
    if (workers.serving > 0) return { status: 'SERVING', workers };
    const reason = told.find((readiness) => readiness?.reason !== undefined)?.reason;
    return { status: 'NOT_SERVING', reason: reason ?? 'no worker answers', workers };
  }

  async metrics(): Promise<string> {
    return this.#metrics.text(await Promise.all(this.#running().map((running) => running.metrics())));
  }

  /** reload has all workers read the files of TLS anew. */
  reload(): Promise<void> {
    for (const running of this.#running()) running.reload();
    return Promise.resolve();
  }

  /** stop lets all workers end in order, and ends those that do not in time. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const { restart } of this.#slots) clearTimeout(restart);
    const { stopLimitMs } = this.#dependencies;
    await Promise.all(this.#running().map((running) => running.stop(stopLimitMs)));
  }

  #running(): WorkerProcess[] {
    return this.#slots.flatMap(({ current }) => current ?? []);
  }

  #fork(slot: Slot): WorkerProcess {
    const { databaseUrl, logger } = this.#dependencies;
    const { worker } = slot;
    const { port, gatewayPort } = this;
    const started = new WorkerProcess({ worker, databaseUrl, port, gatewayPort });
    slot.current = started;
    void started.ended.then((end) => {
      this.#onEnd(slot, started, end);
    });
    logger.info({ worker, worker_pid: started.pid, replica: started.replicaId }, 'worker started');
    return started;
  }

  #onEnd(slot: Slot, { replicaId, servedMs, lastMetrics }: WorkerProcess, end: WorkerEnd): void {
    slot.current = undefined;
    this.#metrics.retire(lastMetrics);
    if (this.#isStopping && end.code === 0) return;
    this.#dependencies.onWorkerDeath({ ...end, worker: slot.worker, replicaId });
    if (this.#isStopping) return;
    slot.stillborn = servedMs < AT_ONCE_MS ? slot.stillborn + 1 : 0;
    slot.shortLived = servedMs < LONG_MS ? slot.shortLived + 1 : 0;
    if (slot.stillborn >= MAX_STILLBORN && !this.#running().some(({ isListening }) => isListening)) {
      this.#giveUp(new Error(`workers end as soon as they start: ${whyEnded(end)}`));
      return;
    }
    slot.restart = setTimeout(() => this.#fork(slot), pauseMs(slot.shortLived));
  }
}

function pauseMs(shortLived: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.max(0, shortLived - 1), MAX_PAUSE_MS);
}

/** usablePort is the port of an address, or for port 0 one that is free: a worker that comes later needs the same. */
async function usablePort(listen: ListenAddress): Promise<number> {
  if (listen.port !== 0) return listen.port;
  const probe = createServer().listen(listenOptions(listen));
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
