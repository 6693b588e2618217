import { createHmac, randomUUID } from 'node:crypto';
import type { Instant } from '../lib/instant.js';
import type { AuditEntry } from './audit-entry.js';

/**
 * ChainPurpose is what a chain holds: records written in the transactions of the changes that they are about, or
 * records appended on their own.
 */
export type ChainPurpose = 'CHANGES' | 'APPENDED';

/** AuditKeys gives the keys of chains: a keyring, as far as it matters here. */
export interface AuditKeys {
  derive(purpose: string): { readonly keyId: string; readonly key: Uint8Array };
  deriveFrom(keyId: string, purpose: string): Uint8Array | undefined;
}

/**
 * ChainFormat is how the records of a chain are authenticated. Chains begin in format 2, which covers the number of a
 * record and the account that it is about; those of format 1 were begun by earlier versions.
 */
export type ChainFormat = 1 | 2;

/** KEY_PURPOSE is what the key of a chain is derived for. */
export const KEY_PURPOSE = 'keyward audit chain v1';

/** ChainHeader is what is fixed of a chain. */
export interface ChainHeader {
  readonly chain: string;
  readonly purpose: ChainPurpose;
  readonly keyId: string;
  readonly startedAt: Instant;
  readonly format: ChainFormat;
}

/** Chain is a chain to write to, with its key. */
export interface Chain extends ChainHeader {
  readonly key: Uint8Array;
}

/** ChainHead is the last record of a chain: its number, from 1 on, and its MAC. Before the first one seq is 0. */
export interface ChainHead {
  readonly seq: bigint;
  readonly mac: Buffer;
}

/** AuditRecord is an entry with its number, its time and its place. */
export interface AuditRecord extends Omit<AuditEntry, 'action' | 'outcome' | 'detail' | 'resource'> {
  /** Records are listed in the order of their numbers. They rise along a chain. */
  readonly id: bigint;
  readonly chain: string;
  readonly seq: bigint;
  readonly occurredAt: Instant;
  readonly action: string;
  readonly outcome: string;
  readonly resource: StoredResource;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** StoredResource is an AuditResource as it is stored: records of earlier versions may lack the account's id. */
interface StoredResource {
  readonly kind: string;
  readonly id: bigint | null;
  readonly profileId?: bigint | undefined;
  readonly accountId?: bigint | undefined;
  readonly accountNumber?: string | undefined;
}

/** ChainedRecord is a record with the MAC that authenticates it and its predecessor. */
export interface ChainedRecord extends AuditRecord {
  readonly mac: Buffer;
}

/** Stamped is an entry with the time at which it happened. */
export interface Stamped {
  readonly entry: AuditEntry;
  readonly occurredAt: Instant;
}

/** newChain begins a chain, in memory. */
export function newChain(keys: AuditKeys, purpose: ChainPurpose, startedAt: Instant): Chain {
  const { keyId, key } = keys.derive(KEY_PURPOSE);
  return { chain: randomUUID(), purpose, keyId, startedAt, format: 2, key };
}

/** originOf is the head of a chain without records. Its MAC binds the first record to the chain's header. */
export function originOf({ key, ...header }: Chain): ChainHead {
  return { seq: 0n, mac: hmac(key, canonicalHeader(header)) };
}

/** sameHead compares two heads of one chain. */
export function sameHead(one: ChainHead, other: ChainHead): boolean {
  return one.seq === other.seq && one.mac.equals(other.mac);
}

/**
 * extend puts entries behind the head of a chain, in their order, and gives them with the new head. `ids` are their
 * numbers, one for each.
 */
export function extend(
  { chain, format, key }: Chain,
  head: ChainHead,
  entries: readonly Stamped[],
  ids: readonly bigint[],
): { readonly records: ChainedRecord[]; readonly head: ChainHead } {
  const records: ChainedRecord[] = [];
  const storable = storing();
  let last = head;
  for (const [index, { entry, occurredAt }] of entries.entries()) {
    const id = ids[index];
    if (id === undefined) throw new Error('there are fewer numbers than records');
    const { actor, action, outcome, resource, detail } = storable(entry);
    const seq = last.seq + 1n;
    const record = { id, chain, seq, occurredAt, actor, action, outcome, resource, detail };
    last = { seq, mac: macOf(key, format, record, last.mac) };
    records.push({ ...record, mac: last.mac });
  }
  return { records, head: last };
}

/** macOf authenticates a record that comes after one with the MAC `previous`. */
export function macOf(key: Uint8Array, format: ChainFormat, record: AuditRecord, previous: Buffer): Buffer {
  return hmac(key, canonicalRecord(format, record, previous));
}

/**
 * canonicalRecord is the one text of a record. It is a JSON array whose length and order are fixed by its format, so that no two
 * records have the same: every value is a text, or null, in its own place. Times are microseconds since 1970.
 */
export function canonicalRecord(format: ChainFormat, record: AuditRecord, previous: Buffer): string {
  const { actor, resource } = record;
  const sinceFormat2 = format === 1 ? [] : [String(record.id), textOrNull(resource.accountId)];
  return JSON.stringify([
    `keyward audit record ${format}`,
    ...sinceFormat2,
    record.chain,
    String(record.seq),
    previous.toString('hex'),
    String(record.occurredAt),
    record.action,
    record.outcome,
    textOrNull(actor.keyId),
    textOrNull(actor.userId),
    actor.username,
    textOrNull(actor.accountNumber),
    actor.peer,
    textOrNull(actor.certificate),
    textOrNull(actor.requestId),
    resource.kind,
    textOrNull(resource.id),
    textOrNull(resource.profileId),
    textOrNull(resource.accountNumber),
    Object.entries(record.detail).sort(([a], [b]) => (a < b ? -1 : 1)),
  ]);
}

function canonicalHeader({ format, chain, purpose, keyId, startedAt }: ChainHeader): string {
  return JSON.stringify([`keyward audit chain ${format}`, chain, purpose, keyId, String(startedAt)]);
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function textOrNull(value: string | bigint | null | undefined): string | null {
  return value === undefined || value === null ? null : String(value);
}

/**
 * storing gives what makes entries such that the database can keep their texts, so that no text of a caller, such as a
 * certificate's name, keeps its record from being written. What entries in a row have in common is looked at once.
 */
function storing(): (entry: AuditEntry) => AuditEntry {
  const actors = remembering((actor: AuditEntry['actor']) => storableTexts(actor));
  const details = remembering((detail: AuditEntry['detail']) =>
    Object.fromEntries(
      Object.entries(detail).map(([key, value]) => [replaceUnstorable(key), replaceUnstorable(value)]),
    ),
  );
  // Field by field: for objects of one form the engine is many times as quick.
  return ({ actor, action, outcome, resource, detail }) => ({
    actor: actors(actor),
    action,
    outcome,
    resource: storableTexts(resource),
    detail: details(detail),
  });
}

/** remembering is a function that knows its last result. */
function remembering<Given extends object, Made>(make: (given: Given) => Made): (given: Given) => Made {
  let last: { readonly given: Given; readonly made: Made } | undefined;
  return (given) => {
    if (last?.given !== given) last = { given, made: make(given) };
    return last.made;
  };
}

function storableTexts<Fields extends object>(fields: Fields): Fields {
  const entries: [string, unknown][] = Object.entries(fields);
  if (entries.every(([, value]) => typeof value !== 'string' || !UNSTORABLE.test(value))) return fields;
  return Object.fromEntries(
    entries.map(([key, value]) => [key, typeof value === 'string' ? replaceUnstorable(value) : value]),
  ) as Fields;
}

// PostgreSQL keeps neither NUL nor half of a surrogate pair in text.
const UNSTORABLE = /\0|\p{Surrogate}/u;
const EACH_UNSTORABLE = new RegExp(UNSTORABLE, 'gu');

function replaceUnstorable(text: string): string {
  return text.replace(EACH_UNSTORABLE, '\u{fffd}');
}
