import type { Clock } from '../lib/clock.js';
import { databaseUnavailable, KeywardError } from '../lib/errors.js';
import { presentOf, type Instant } from '../lib/instant.js';
import type { AuditEntry } from './audit-entry.js';
import type { AuditKeys, Chain, ChainHead, Stamped } from './audit-record.js';
import type { ChainRepository } from './chain-repository.js';
import type { Tampering } from './tampering.js';

export interface ChainWriterDependencies {
  readonly chains: ChainRepository;
  readonly keys: AuditKeys;
  readonly clock: Clock;
  /** Told of every head that is in the database for good. */
  readonly onDurable?: (chain: string, head: ChainHead) => void;
  /** Told when a chain turns out not to be as this process has written it. */
  readonly onTampering?: (tampering: Tampering) => void;
}

/** How many chains to try that somebody spoils meanwhile, before a record counts as one that cannot be written. */
export const MAX_CHAINS_TRIED = 3;
/** Most records of tampering that a chain begins with; older ones, which nothing could be written behind, are dropped. */
const MAX_FIRST_ENTRIES = 10;

/** withFirst adds to what the next chain begins with. */
export function withFirst(first: readonly AuditEntry[], entry: AuditEntry): readonly AuditEntry[] {
  return [...first, entry].slice(-MAX_FIRST_ENTRIES);
}

export function now({ clock }: Pick<ChainWriterDependencies, 'clock'>): Instant {
  return presentOf(clock);
}

export function stamp(entries: readonly AuditEntry[], occurredAt: Instant): Stamped[] {
  return entries.map((entry) => ({ entry, occurredAt }));
}

/** cannotBeWritten is for a record that may not be there. */
export function cannotBeWritten(cause: unknown): KeywardError {
  if (cause instanceof KeywardError && cause.reason === 'DATABASE_UNAVAILABLE') return cause;
  return new KeywardError('DATABASE_UNAVAILABLE', 'The audit log cannot be written.', { cause });
}

/** spoilt is why nothing could be written behind any of several chains. */
export function spoilt({ chain }: Chain): KeywardError {
  return databaseUnavailable({ cause: new Error(`the audit chain ${chain} was tampered with at once`) });
}
