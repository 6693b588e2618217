import { SERVICE, type AuditEntry } from './audit-entry.js';
import type { ChainHead, ChainPurpose } from './audit-record.js';

/**
 * Finding is what is wrong with a chain that a process is writing:
 *
 * - CHAIN_MISSING: its row is gone.
 * - HEAD_CHANGED: its row tells another head than the one that was written last.
 * - RECORD_MISSING, RECORD_CHANGED: its last record is gone, or is another one.
 * - RECORD_INSERTED: there are records behind the last one that was written.
 */
export type Finding =
  'CHAIN_MISSING' | 'HEAD_CHANGED' | 'RECORD_MISSING' | 'RECORD_CHANGED' | 'RECORD_INSERTED';

/** Tampering is what a process noticed of a chain that it is writing. */
export interface Tampering {
  readonly chain: string;
  readonly purpose: ChainPurpose;
  /** The newest head that is known to have been in the database. */
  readonly head: ChainHead;
  readonly found: Finding;
}

/** tamperingEntry is the record that the next chain begins with. */
export function tamperingEntry({ chain, purpose, head, found }: Tampering): AuditEntry {
  return {
    actor: SERVICE,
    action: 'AUDIT_TAMPERED',
    outcome: 'OK',
    resource: { kind: 'service', id: null },
    detail: { chain, purpose, sequence: String(head.seq), mac: head.mac.toString('hex'), found },
  };
}
