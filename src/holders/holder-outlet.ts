import type { Head } from '../coherence/ports.js';
import type { Forgotten } from './held-change.js';
import type { Handle } from './handles.js';
import type { OwnerIds } from './registrations.js';

/** HeldFact is what a replica tells of a text: the record of its own memory. */
export interface HeldFact {
  /** `current` is false once it may be wrong. */
  readonly owner: OwnerIds & { readonly current: boolean };
}

/** LookedUp answers for one text. */
export interface LookedUp<Fact> {
  readonly id: bigint;
  /** Undefined where the look-up failed; null for an unknown text. */
  readonly fact: Fact | null | undefined;
  readonly error?: unknown;
  readonly isStale: boolean;
  readonly keep: boolean;
  /** Unset for an unknown text. */
  readonly handle: Handle | undefined;
}

/** Why no lease is granted. */
export type Refusal = 'REPLICA_HAS_NONE' | 'NOT_ACKNOWLEDGED' | 'TOO_SLOW' | 'STOPPING';

export interface Grant {
  readonly number: bigint;
  readonly granted: { readonly leaseMs: number } | { readonly refusal: Refusal };
  readonly position: Head | undefined;
}

export interface Invalidation extends Forgotten {
  readonly number: bigint;
  readonly position: Head | undefined;
}

/** HolderOutlet takes what a client is told, in order. */
export interface HolderOutlet<Fact> {
  opened(isResumed: boolean): void;
  facts(facts: readonly LookedUp<Fact>[]): void;
  grant(grant: Grant): void;
  invalidate(invalidation: Invalidation): void;
  leave(): void;
  /** suspect asks whether the caller may still hold what it holds; whoever may not is ended. */
  suspect(): void;
  /** end ends the stream. */
  end(error: Error): void;
}
