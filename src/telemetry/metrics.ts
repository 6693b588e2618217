/**
 * `telemetry/` is what operators see of a process: metrics, logs, and the server of health and metrics over HTTP.
 *
 *     const metrics = new Metrics();
 *     metrics.watch({ validations, caches, pool });
 */

import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { AuditMetrics } from './audit-metrics.js';
import { CallMetrics } from './call-metrics.js';
import { CoherenceMetrics } from './coherence-metrics.js';
import { GatewayMetrics } from './gateway-metrics.js';
import { HolderMetrics } from './holder-metrics.js';
import {
  watchConnections,
  watchWork,
  watchYoungStreams,
  type ConnectionCounts,
  type ConnectionUse,
  type WorkUse,
} from './connection-metrics.js';

/** CacheUse is what a cache counts of itself. */
export interface CacheUse {
  /** Lookups answered from memory, since the start. */
  readonly hits: number;
  /** Lookups that had to wait for the database, since the start. */
  readonly misses: number;
  /** Entries held. */
  readonly size: number;
}

/** PoolUse counts the connections of a pool, and who waits for one. */
export interface PoolUse {
  readonly used: number;
  readonly idle: number;
  readonly waiting: number;
  readonly max: number;
}

/** Watched is read whenever somebody looks, so that counting costs the service nothing but plain numbers. */
export interface Watched {
  /** Answers since the start, by reason. */
  readonly validations: Readonly<Record<string, number>>;
  readonly caches: Readonly<Record<string, CacheUse>>;
  readonly pool: () => PoolUse;
}

/** MetricsSnapshot is all metrics of a process at one moment, as it can be sent to another process. */
export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** Metrics are those of one service. No label ever holds the name of a user, a token or a secret. */
export class Metrics {
  readonly audit: AuditMetrics;
  readonly calls: CallMetrics;
  readonly coherence: CoherenceMetrics;
  readonly gateways: GatewayMetrics;
  readonly holders: HolderMetrics;
  readonly #registry = new Registry();

  constructor() {
    this.audit = new AuditMetrics(this.#registry);
    this.calls = new CallMetrics(this.#registry);
    this.coherence = new CoherenceMetrics(this.#registry);
    this.gateways = new GatewayMetrics(this.#registry);
    this.holders = new HolderMetrics(this.#registry);
  }

  /** watch shows what is counted elsewhere; call it once. */
  watch({ validations, caches, pool }: Watched): void {
    this.#counter('keyward_validations_total', 'Tokens validated, by reason of the answer.', 'reason', () =>
      Object.entries(validations),
    );
    const ofCaches = (read: (cache: CacheUse) => number) => () =>
      Object.entries(caches).map(([name, cache]) => [name, read(cache)] as const);
    this.#counter(
      'keyward_cache_hits_total',
      'Lookups answered from memory, by cache.',
      'cache',
      ofCaches(({ hits }) => hits),
    );
    this.#counter(
      'keyward_cache_misses_total',
      'Lookups that waited for the database, by cache.',
      'cache',
      ofCaches(({ misses }) => misses),
    );
    this.#gauge(
      'keyward_cache_entries',
      'Entries held in memory, by cache.',
      'cache',
      ofCaches(({ size }) => size),
    );
    this.#gauge(
      'keyward_database_pool_connections',
      'Connections of the pool to PostgreSQL, by state.',
      'state',
      () => {
        const { used, idle } = pool();
        return Object.entries({ used, idle });
      },
    );
    this.#number('keyward_database_pool_max_connections', 'Most connections that the pool may hold.', () => {
      return pool().max;
    });
    this.#number('keyward_database_pool_waiting', 'Requests that wait for a connection of the pool.', () => {
      return pool().waiting;
    });
  }

  /** watchConnections shows the connections of clients, of which there may be `most`; call it once. */
  watchConnections(counts: ConnectionCounts, use: () => ConnectionUse, most: number): void {
    watchConnections(this.#registry, counts, use, most);
  }

  /** watchYoungStreams shows whether ended streams are collected young; call it once. */
  watchYoungStreams(areKept: () => boolean): void {
    watchYoungStreams(this.#registry, areKept);
  }

  /** watchWork shows how many calls are worked on; call it once. */
  watchWork(use: () => WorkUse): void {
    watchWork(this.#registry, use);
  }

  /** watchProcess adds the usual metrics of the process: once in a process, and for its whole life. */
  watchProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** text is in the text format of Prometheus. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  snapshot(): Promise<MetricsSnapshot> {
    return this.#registry.getMetricsAsJSON();
  }

  #counter(name: string, help: string, label: string, read: () => Iterable<readonly [string, number]>): void {
    new Counter({
      name,
      help,
      labelNames: [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [value, count] of read()) this.inc({ [label]: value }, count);
      },
    });
  }

  #gauge(name: string, help: string, label: string, read: () => Iterable<readonly [string, number]>): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [this.#registry],
      collect() {
        for (const [value, number] of read()) this.set({ [label]: value }, number);
      },
    });
  }

  #number(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }
}
