import { TTL_MS } from './lease.js';
import type { Registered, ReplicaLease } from './ports.js';

interface Sighting {
  readonly renewals: bigint;
  readonly firstMs: number;
}

/**
 * Sightings bound leases by this machine's clock as well: a renewal was sent before it was seen for the first time, so
 * its lease is over a TTL after that, whatever the clock of the database says. That may have been set back since.
 */
export class Sightings {
  #seen = new Map<string, Sighting>();
  #epoch: string | undefined;

  /** bound gives the leases as they are by both clocks. `nowMs` is the monotonic time at which they were read. */
  bound({ epoch, replicas }: Pick<Registered, 'epoch' | 'replicas'>, nowMs: number): ReplicaLease[] {
    // Renewals of another epoch are counted anew.
    if (epoch !== this.#epoch) this.#seen.clear();
    this.#epoch = epoch;
    const seen = new Map<string, Sighting>();
    const bounded = replicas.map((lease) => {
      const { replica, renewals, leftMs } = lease;
      if (renewals === undefined) return lease;
      const known = this.#seen.get(replica);
      const sighting = known?.renewals === renewals ? known : { renewals, firstMs: nowMs };
      seen.set(replica, sighting);
      return { ...lease, leftMs: Math.min(leftMs, sighting.firstMs + TTL_MS - nowMs) };
    });
    this.#seen = seen;
    return bounded;
  }
}
