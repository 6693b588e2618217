import type { handleServerStreamingCall, Server } from '@grpc/grpc-js';
import { HealthImplementation, service } from 'grpc-health-check';
import type { Clock } from '../lib/clock.js';
import type { Readiness } from '../telemetry/probe-server.js';
import type { Logger } from '../telemetry/logger.js';
import { endStreamOn } from './end-stream.js';
import { openMethods, type MethodRule } from './front-door/method-rules.js';

export interface HealthDependencies {
  /** Full names of the services, which share one status with the server as a whole (the empty name). */
  readonly services: readonly string[];
  /** Why the database cannot be worked with, undefined if it can. Rejects with the reason if it cannot be reached. */
  readonly problem: () => Promise<string | undefined>;
  /** Milliseconds that the database may be out of reach before this counts as not serving. */
  readonly toleranceMs: number;
  /** Ends every watch, with its reason, once it is aborted. */
  readonly stopping: AbortSignal;
  /** Never steps: it measures an outage. */
  readonly clock: Clock;
  readonly logger: Logger;
}

const CHECK_EVERY_MS = 2_000;

type Watch = handleServerStreamingCall<unknown, unknown>;

/**
 * Health answers grpc.health.v1. A server is SERVING once its database has the schema that it needs, and
 * stays so through an outage for as long as it can answer from memory.
 */
export class Health {
  readonly #dependencies: HealthDependencies;
  readonly #implementation: HealthImplementation;
  #timer: NodeJS.Timeout | undefined;
  #lastGoodAt = -Infinity;
  #isServing = false;
  #problem: string | undefined;
  #isStopped = false;
  #told: string | undefined;

  constructor(dependencies: HealthDependencies) {
    this.#dependencies = dependencies;
    this.#implementation = new HealthImplementation();
    this.#set(false);
  }

  /** readiness is what the health service says, with the reason. */
  get readiness(): Readiness {
    if (this.#isServing) return { status: 'SERVING' };
    const reason = this.#isStopped ? 'stopping' : (this.#problem ?? 'the database cannot be reached');
    return { status: 'NOT_SERVING', reason };
  }

  /** addTo gives the rules by which the front door lets its calls in: without credentials. */
  addTo(server: Server): MethodRule[] {
    this.#implementation.addToServer({
      addService: (definition, { watch, ...handlers }) => {
        const lasting = watch as Watch;
        server.addService(definition, {
          ...handlers,
          // The library's own has no end.
          watch: (stream: Parameters<Watch>[0]) => {
            lasting(stream);
            endStreamOn(this.#dependencies.stopping, stream);
          },
        });
      },
    });
    return openMethods(service);
  }

  /** start checks now, and from then on every two seconds. */
  async start(): Promise<void> {
    await this.#check();
    const next = (): void => {
      if (this.#isStopped) return;
      this.#timer = setTimeout(() => void this.#check().finally(next), CHECK_EVERY_MS).unref();
    };
    next();
  }

  /** stop says NOT_SERVING from now on, so that load balancers look elsewhere. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#set(false);
  }

  async #check(): Promise<void> {
    const { problem, toleranceMs, clock, logger } = this.#dependencies;
    try {
      const found = await problem();
      if (found !== undefined && found !== this.#problem) logger.error({ problem: found }, 'not serving');
      this.#problem = found;
      if (this.#told !== undefined) logger.info('the database is reached again');
      this.#told = undefined;
      this.#lastGoodAt = found === undefined ? clock.now() : -Infinity;
      this.#update(found === undefined);
    } catch (error) {
      if (this.#isStopped) return;
      this.#problem = undefined;
      const isServing = clock.now() - this.#lastGoodAt <= toleranceMs;
      this.#tell(error instanceof Error ? error.message : String(error), isServing);
      this.#update(isServing);
    }
  }

  /** #tell tells of an outage once, and again if its cause changes or it is served no more. */
  #tell(reason: string, isServing: boolean): void {
    const told = `${String(isServing)} ${reason}`;
    if (told !== this.#told) {
      this.#dependencies.logger.warn({ reason, serving: isServing }, 'the database cannot be reached');
    }
    this.#told = told;
  }

  #update(isServing: boolean): void {
    if (this.#isStopped || isServing === this.#isServing) return;
    this.#dependencies.logger.info({ serving: isServing }, isServing ? 'serving' : 'not serving');
    this.#set(isServing);
  }

  #set(isServing: boolean): void {
    this.#isServing = isServing;
    const status = isServing ? 'SERVING' : 'NOT_SERVING';
    for (const service of ['', ...this.#dependencies.services])
      this.#implementation.setStatus(service, status);
  }
}
