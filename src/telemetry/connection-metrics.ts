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

/** watchWork shows how many calls are worked on. They are counted when somebody looks. */
export function watchWork(registry: Registry, callsUnderWay: () => number): void {
  new Gauge({
    name: 'keyward_calls_under_way',
    help: 'Calls that are worked on, without streams and what memory answers.',
    registers: [registry],
    collect() {
      this.set(callsUnderWay());
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
