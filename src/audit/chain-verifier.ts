import {
  KEY_PURPOSE,
  macOf,
  originOf,
  type AuditKeys,
  type ChainHead,
  type ChainPurpose,
} from './audit-record.js';
import type { StoredChain } from './audit-repository.js';
import { goesOnAfter, retirementIn, type Retirement } from './retirement.js';
import type { AuditEvent } from './audit-rows.js';
import type { Instant } from '../lib/instant.js';

/**
 * FaultKind is what is wrong with the log:
 *
 * - CHANGED: a record, or the chain's row, is not as it was written.
 * - REORDERED: records stand in another order than they were written in.
 * - INSERTED: a record that the service did not write.
 * - REMOVED: records that were written are gone.
 * - HEAD_CHANGED: the chain's row does not tell its last record.
 * - HEAD_MISSING: there are records of a chain that has no row: it was removed, or they were inserted.
 * - KEY_MISSING: the keyring lacks the chain's key, so nothing can be told of it.
 * - KEY_RETIRED: the chain was begun, or went on, after its key was retired: who has an old key may have forged it.
 */
export type FaultKind =
  | 'CHANGED'
  | 'REORDERED'
  | 'INSERTED'
  | 'REMOVED'
  | 'HEAD_CHANGED'
  | 'HEAD_MISSING'
  | 'KEY_MISSING'
  | 'KEY_RETIRED';

export interface Fault {
  readonly kind: FaultKind;
  readonly chain: string;
  /** Place in the chain; with `lastSeq` the first of several. null for what concerns the chain as a whole. */
  readonly seq: bigint | null;
  readonly lastSeq: bigint | null;
  /** Number of the record; null where there is none. */
  readonly id: bigint | null;
}

/** SavedHead is how far a chain was at an earlier time, kept outside the database. */
export interface SavedHead extends ChainHead {
  readonly chain: string;
}

export interface ChainReport {
  readonly chain: string;
  readonly purpose: ChainPurpose | null;
  readonly keyId: string | null;
  readonly startedAt: Instant | null;
  readonly records: bigint;
  /** The records up to the newest that are proved to be complete and as they were written; null for none. */
  readonly vouched: { readonly from: bigint; readonly to: bigint } | null;
  readonly faults: number;
}

/** ChainVerifier checks one chain, whose records it is given in their order, and remembers only the last one. */
export class ChainVerifier {
  readonly #name: string;
  readonly #stored: StoredChain | undefined;
  readonly #saved: SavedHead | undefined;
  readonly #key: Uint8Array | undefined;
  readonly #tell: (fault: Fault) => void;
  /** The MAC that the next record follows; undefined where the one before is not there. */
  #previous: Buffer | undefined;
  #lastMac: Buffer | undefined;
  #lastSeq = 0n;
  #lastId = 0n;
  #newestId = 0n;
  #newestAt = 0n;
  readonly #retirements: Retirement[] = [];
  #vouchedFrom = 1n;
  #records = 0n;
  #faults = 0;
  #beyondHead = false;

  constructor(
    name: string,
    stored: StoredChain | undefined,
    saved: SavedHead | undefined,
    keys: AuditKeys,
    tell: (fault: Fault) => void,
  ) {
    this.#name = name;
    this.#stored = stored;
    this.#saved = saved;
    this.#tell = tell;
    if (stored === undefined) return;
    this.#key = keys.deriveFrom(stored.keyId, KEY_PURPOSE);
    if (this.#key === undefined) this.#fault('KEY_MISSING', null);
    else this.#previous = originOf({ ...stored, key: this.#key }).mac;
  }

  /** add checks the next record. */
  add(event: AuditEvent): void {
    if (this.#records === 0n && this.#stored === undefined) this.#fault('HEAD_MISSING', null);
    this.#records += 1n;
    if (event.seq <= this.#lastSeq) {
      this.#fault('INSERTED', event.seq, event.id);
      this.#vouchedFrom = this.#lastSeq + 1n;
      return;
    }
    const isNext = event.seq === this.#lastSeq + 1n;
    if (!isNext) {
      this.#fault('REMOVED', this.#lastSeq + 1n, null, event.seq - 1n);
      this.#previous = undefined;
    }
    const isAsWritten = this.#checkContent(event);
    this.#newestId = max(this.#newestId, event.id);
    this.#newestAt = max(this.#newestAt, event.occurredAt);
    if (isNext && isAsWritten) this.#noteRetirement(event);
    const isAsSaved = this.#checkSaved(event);
    // Nothing proves the first record after a gap.
    if (!isNext || !isAsWritten || !isAsSaved) this.#vouchedFrom = event.seq + 1n;
    this.#lastSeq = event.seq;
    this.#lastId = event.id;
    this.#lastMac = event.mac;
    this.#previous = event.mac;
  }

  /** retirements are those of keys that proved records of this chain tell of. */
  get retirements(): readonly Retirement[] {
    return this.#retirements;
  }

  /** end is told that there are no more records, and compares the last one with the chain's row. */
  end(): void {
    const stored = this.#stored;
    const newest = max(stored?.seq ?? 0n, this.#saved?.seq ?? 0n);
    if (newest > this.#lastSeq) this.#fault('REMOVED', this.#lastSeq + 1n, null, newest);
    else if (stored !== undefined && !this.#beyondHead && !isSame(this.#lastMac, stored.mac)) {
      this.#fault('HEAD_CHANGED', null);
    }
  }

  /** report is told the keys that were retired, of which the records of other chains tell. */
  report(retirements: readonly Retirement[]): ChainReport {
    const stored = this.#stored;
    const isRetired = retirements.some((retirement) => this.#goesOnAfter(retirement));
    if (isRetired) this.#fault('KEY_RETIRED', null);
    const isProved = this.#key !== undefined && !isRetired && this.#vouchedFrom <= this.#lastSeq;
    return {
      chain: this.#name,
      purpose: stored?.purpose ?? null,
      keyId: stored?.keyId ?? null,
      startedAt: stored?.startedAt ?? null,
      records: this.#records,
      vouched: isProved ? { from: this.#vouchedFrom, to: this.#lastSeq } : null,
      faults: this.#faults,
    };
  }

  #goesOnAfter(retirement: Retirement): boolean {
    if (this.#stored === undefined) return false;
    const { keyId, startedAt } = this.#stored;
    return goesOnAfter({ keyId, startedAt, lastId: this.#newestId, lastAt: this.#newestAt }, retirement);
  }

  #noteRetirement(event: AuditEvent): void {
    if (this.#stored === undefined || this.#key === undefined) return;
    const retirement = retirementIn(event, this.#stored.keyId);
    if (retirement !== undefined) this.#retirements.push(retirement);
  }

  #checkContent(event: AuditEvent): boolean {
    const kind = this.#wrongWith(event);
    if (kind !== undefined) this.#fault(kind, event.seq, event.id);
    if (this.#isBeyondHead(event) && !this.#beyondHead) {
      this.#beyondHead = true;
      if (kind === undefined) this.#fault('HEAD_CHANGED', null);
    }
    return kind === undefined;
  }

  #wrongWith(event: AuditEvent): FaultKind | undefined {
    const isAuthentic =
      this.#stored === undefined ||
      this.#key === undefined ||
      this.#previous === undefined ||
      macOf(this.#key, this.#stored.format, event, this.#previous).equals(event.mac);
    if (!isAuthentic && this.#isBeyondHead(event)) return 'INSERTED';
    if (event.id <= this.#lastId) return 'REORDERED';
    return isAuthentic ? undefined : 'CHANGED';
  }

  #checkSaved({ seq, id, mac }: AuditEvent): boolean {
    if (this.#saved?.seq !== seq || mac.equals(this.#saved.mac)) return true;
    this.#fault('CHANGED', seq, id);
    return false;
  }

  #isBeyondHead({ seq }: AuditEvent): boolean {
    return this.#stored !== undefined && seq > this.#stored.seq;
  }

  #fault(kind: FaultKind, seq: bigint | null, id: bigint | null = null, lastSeq = seq): void {
    this.#faults += 1;
    this.#tell({ kind, chain: this.#name, seq, lastSeq, id });
  }
}

function isSame(one: Buffer | undefined, other: Buffer): boolean {
  return one?.equals(other) ?? false;
}

function max(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}
