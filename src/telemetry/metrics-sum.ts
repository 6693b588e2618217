import { AggregatorRegistry, type Registry } from 'prom-client';
import type { MetricsSnapshot } from './metrics.js';

const GROWING: readonly string[] = ['counter', 'histogram'];

/** MetricsSum makes one service's metrics of those of its processes. What has been counted never shrinks. */
export class MetricsSum {
  /** Counts of processes that are no more. */
  #retired: Promise<MetricsSnapshot> = Promise.resolve([]);

  /** retire keeps the counts of a process that has ended, as it last told them. */
  retire(last: MetricsSnapshot): void {
    const counts = last.filter(({ type }) => GROWING.includes(String(type)));
    this.#retired = this.#retired.then((retired) => sum([retired, counts]).getMetricsAsJSON());
  }

  /** text sums the metrics of running processes with the counts of ended ones, in the text format of Prometheus. */
  async text(running: readonly MetricsSnapshot[]): Promise<string> {
    return sum([...running, await this.#retired]).metrics();
  }
}

function sum(snapshots: MetricsSnapshot[]): Registry {
  return AggregatorRegistry.aggregate(snapshots);
}
