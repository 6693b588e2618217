import { Counter, Gauge, type Registry } from 'prom-client';

/** EndedWhy says why the service ended a connection or refused it. */
type EndedWhy = 'limit' | 'peer_limit' | 'evicted' | 'unauthenticated' | 'idle' | 'misuse';

/** ConnectionCounts are counted where connections are held. */
export interface ConnectionCounts {
  accepted: number;
  readonly ended: Record<EndedWhy, number>;
}

/** noConnections are counts that begin. */
export function noConnections(): ConnectionCounts {
  return {
    accepted: 0,
    ended: { limit: 0, peer_limit: 0, evicted: 0, unauthenticated: 0, idle: 0, misuse: 0 },
  };
}

/** ConnectionUse is how many there are now, by whether they have shown good credentials. */
export interface ConnectionUse {
  readonly authenticated: number;
  readonly unauthenticated: number;
}

/** WorkUse is what a process has to do. */
export interface WorkUse {
  /** Calls that are worked on: not those that memory answers. */
  readonly calls: number;
  /** Bytes that their requests count for. */
  readonly bytes: number;
  /** Connections that wait for their turn to be read. */
  readonly waiting: number;
}

/** watchWork shows it. It is counted when somebody looks. */
export function watchWork(registry: Registry, use: () => WorkUse): void {
  const registers = [registry];
  new Gauge({
    name: 'keyward_calls_under_way',
    help: 'Calls that are worked on, without streams and what memory answers.',
    registers,
    collect() {
      this.set(use().calls);
    },
  });
  new Gauge({
    name: 'keyward_request_bytes_under_way',
    help: 'Bytes that the requests of these calls count for, each of a batch of validations sixteen times.',
    registers,
    collect() {
      this.set(use().bytes);
    },
  });
  new Gauge({
    name: 'keyward_connections_waiting',
    help: 'Connections that are not read for now, because more is asked than can be answered in time.',
    registers,
    collect() {
      this.set(use().waiting);
    },
  });
}

/** watchYoungStreams shows whether ended streams are collected young. */
export function watchYoungStreams(registry: Registry, areKept: () => boolean): void {
  new Gauge({
    name: 'keyward_http2_gc_workaround',
    help: 'Whether ended HTTP/2 streams are collected young: 1, or 0 if it is switched off or finds nothing to do.',
    registers: [registry],
    collect() {
      this.set(areKept() ? 1 : 0);
    },
  });
}

/** watchConnections shows them. They are read when somebody looks. */
export function watchConnections(
  registry: Registry,
  counts: ConnectionCounts,
  use: () => ConnectionUse,
  limit: number,
): void {
  const registers = [registry];
  new Gauge({
    name: 'keyward_connections',
    help: 'Connections of gRPC clients, by whether they have shown good credentials.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(use())) this.set({ state }, count as number);
    },
  });
  new Gauge({
    name: 'keyward_connections_max',
    help: 'Most connections of gRPC clients that may be open.',
    registers,
    collect() {
      this.set(limit);
    },
  });
  new Counter({
    name: 'keyward_connections_accepted_total',
    help: 'Connections of gRPC clients that were accepted.',
    registers,
    collect() {
      this.reset();
      this.inc(counts.accepted);
    },
  });
  new Counter({
    name: 'keyward_connections_ended_total',
    help: 'Connections of gRPC clients that the service refused or ended, by reason.',
    labelNames: ['reason'],
    registers,
    collect() {
      this.reset();
      for (const [reason, count] of Object.entries(counts.ended)) this.inc({ reason }, count);
    },
  });
}
