import type { ClientGroup } from '../coherence/ports.js';

/** ReplicaStatus is a process of the service as it registered itself last. */
export interface ReplicaStatus {
  readonly id: string;
  /** Empty of a version that does not tell. */
  readonly version: string;
  /** Negative once it may not answer from memory any more. */
  readonly leaseLeftMs: number;
  /** Of the present epoch; 0 where it has not come to that. */
  readonly revision: bigint;
  readonly clients: number;
  readonly groups: readonly ClientGroup[];
}

/** Replicas are all of them, and how far the changes are. */
export interface Replicas {
  readonly epoch: string;
  readonly revision: bigint;
  readonly replicas: readonly ReplicaStatus[];
}
