import { formatPgTimestamp, type Instant } from '../lib/instant.js';
import type { ChainedRecord } from './audit-record.js';

/** EventRow is a row of audit_events. */
export interface EventRow {
  id: bigint;
  occurred_at: Instant;
  chain: string;
  seq: bigint;
  mac: Buffer;
  action: string;
  outcome: string;
  actor_key_id: string | null;
  actor_user_id: bigint | null;
  actor_username: string;
  actor_account_number: string | null;
  actor_peer: string;
  actor_certificate: string | null;
  request_id: string | null;
  resource_kind: string;
  resource_id: bigint | null;
  resource_profile_id: bigint | null;
  resource_account_id: bigint | null;
  resource_account_number: string | null;
  detail: unknown;
}

/** AuditEvent is a record as it is stored. */
export type AuditEvent = ChainedRecord;

/** The columns that a writer sets and that many records of one change have in common, with their types. */
const COMMON: Readonly<Record<string, string>> = {
  occurred_at: 'timestamptz',
  action: 'text',
  outcome: 'text',
  actor_key_id: 'text',
  actor_user_id: 'bigint',
  actor_username: 'text',
  actor_account_number: 'text',
  actor_peer: 'text',
  actor_certificate: 'text',
  request_id: 'text',
  resource_kind: 'text',
  resource_profile_id: 'bigint',
  resource_account_id: 'bigint',
  resource_account_number: 'text',
  detail: 'jsonb',
};

/** Alike is records in a row that differ in nothing but what the lists tell of each. */
interface Alike {
  readonly common: Readonly<Record<string, unknown>>;
  readonly ids: string[];
  readonly seqs: string[];
  readonly macs: string[];
  readonly resources: (string | null)[];
}

/**
 * insertEvents is the SQL that writes records: `parameter` stands for what recordsJson gives, and `head` for a
 * table that has one row, with the chain, if they are to be written.
 */
export function insertEvents(parameter: string, head: string): string {
  const names = Object.keys(COMMON).join();
  const typed = Object.entries(COMMON).map(([name, type]) => `${name} ${type}`);
  return `INSERT INTO audit_events (chain, id, seq, mac, resource_id, ${names}) OVERRIDING SYSTEM VALUE
    SELECT ${head}.chain, each.id, each.seq, decode(each.mac, 'hex'), each.resource, ${names}
    FROM ${head}, json_to_recordset(${parameter}::json)
        AS alike (ids bigint[], seqs bigint[], macs text[], resources bigint[], ${typed.join()}),
      unnest(ids, seqs, macs, resources) AS each (id, seq, mac, resource)`;
}

/** recordsJson tells what records have in common once for all that follow one another. */
export function recordsJson(records: readonly ChainedRecord[]): string {
  const all: Alike[] = [];
  let before: ChainedRecord | undefined;
  let last: Alike | undefined;
  for (const record of records) {
    if (last === undefined || before === undefined || !isAlike(before, record)) {
      last = { common: commonOf(record), ids: [], seqs: [], macs: [], resources: [] };
      all.push(last);
    }
    before = record;
    last.ids.push(String(record.id));
    last.seqs.push(String(record.seq));
    last.macs.push(record.mac.toString('hex'));
    last.resources.push(record.resource.id?.toString() ?? null);
  }
  return JSON.stringify(all.map(({ common, ...lists }) => ({ ...common, ...lists })));
}

/** isAlike may miss that records are alike, where their actors are not the same object. */
function isAlike(one: ChainedRecord, other: ChainedRecord): boolean {
  return (
    one.actor === other.actor &&
    isSameDetail(one.detail, other.detail) &&
    one.occurredAt === other.occurredAt &&
    one.action === other.action &&
    one.outcome === other.outcome &&
    one.resource.kind === other.resource.kind &&
    one.resource.profileId === other.resource.profileId &&
    one.resource.accountId === other.resource.accountId &&
    one.resource.accountNumber === other.resource.accountNumber
  );
}

function isSameDetail(one: ChainedRecord['detail'], other: ChainedRecord['detail']): boolean {
  if (one === other) return true;
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}

function commonOf({ actor, resource, ...record }: ChainedRecord): Record<string, unknown> {
  return {
    occurred_at: formatPgTimestamp(record.occurredAt),
    action: record.action,
    outcome: record.outcome,
    actor_key_id: actor.keyId,
    actor_user_id: actor.userId?.toString(),
    actor_username: actor.username,
    actor_account_number: actor.accountNumber,
    actor_peer: actor.peer,
    actor_certificate: actor.certificate,
    request_id: actor.requestId,
    resource_kind: resource.kind,
    resource_profile_id: resource.profileId?.toString(),
    resource_account_id: resource.accountId?.toString(),
    resource_account_number: resource.accountNumber,
    detail: record.detail,
  };
}

export function eventFromRow(row: EventRow): AuditEvent {
  return {
    id: row.id,
    chain: row.chain,
    seq: row.seq,
    mac: row.mac,
    occurredAt: row.occurred_at,
    action: row.action,
    outcome: row.outcome,
    actor: {
      keyId: row.actor_key_id ?? undefined,
      userId: row.actor_user_id ?? undefined,
      username: row.actor_username,
      accountNumber: row.actor_account_number ?? undefined,
      peer: row.actor_peer,
      certificate: row.actor_certificate ?? undefined,
      requestId: row.request_id ?? undefined,
    },
    resource: {
      kind: row.resource_kind,
      id: row.resource_id,
      profileId: row.resource_profile_id ?? undefined,
      accountId: row.resource_account_id ?? undefined,
      accountNumber: row.resource_account_number ?? undefined,
    },
    // Whatever else than an object somebody made of it must not read like one.
    detail: isObject(row.detail) ? row.detail : { '': { not_an_object: row.detail } },
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
