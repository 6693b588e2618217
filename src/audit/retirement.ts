import type { Instant } from '../lib/instant.js';
import type { Actor, AuditEntry } from './audit-entry.js';
import type { AuditEvent } from './audit-rows.js';

/** Retirement is what a record tells of keys that chains are no longer written with. */
export interface Retirement {
  readonly keyIds: readonly string[];
  /** Number of the record. */
  readonly id: bigint;
  readonly occurredAt: Instant;
}

/** Extent is how far a chain goes. */
export interface Extent {
  readonly keyId: string;
  readonly startedAt: Instant;
  /** The highest number and the latest time of its records. */
  readonly lastId: bigint;
  readonly lastAt: Instant;
}

/** By how much the clocks of two processes may differ, in microseconds. */
const DISAGREEMENT = 60_000_000n;

/** retirementEntry is the record that keys were retired, in favour of the one that its own chain is written with. */
export function retirementEntry(actor: Actor, keyId: string, retired: readonly string[]): AuditEntry {
  return {
    actor,
    action: 'KEYS_RETIRED',
    outcome: 'OK',
    resource: { kind: 'keyring', id: null },
    detail: { key_id: keyId, retired: retired.join() },
  };
}

/** retirementIn reads such a record of a chain; undefined for any other. No key retires itself. */
export function retirementIn(
  { action, id, occurredAt, detail }: AuditEvent,
  chainKeyId: string,
): Retirement | undefined {
  const retired = detail['retired'];
  if (action !== 'KEYS_RETIRED' || typeof retired !== 'string') return undefined;
  return { keyIds: retired.split(',').filter((keyId) => keyId !== chainKeyId), id, occurredAt };
}

/**
 * goesOnAfter tells whether a chain was begun, or written to, after its key was retired. Numbers are drawn in order by
 * all processes, and used within milliseconds, so they tell nearly exactly; times do only where they differ by more than
 * clocks may. Who has a retired key can still claim a time and a number of before.
 */
export function goesOnAfter({ keyId, startedAt, lastId, lastAt }: Extent, retirement: Retirement): boolean {
  if (!retirement.keyIds.includes(keyId)) return false;
  const latest = retirement.occurredAt + DISAGREEMENT;
  return startedAt > latest || lastId > retirement.id || lastAt > latest;
}
