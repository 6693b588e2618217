import type { Knex } from 'knex';
import { prepare } from '../db/prepared.js';
import { formatPgTimestamp } from '../lib/instant.js';
import { originOf, type Chain, type ChainedRecord, type ChainHead } from './audit-record.js';
import { insertEvents, recordsJson } from './audit-rows.js';
import type { Finding } from './tampering.js';

/** Locked is a chain's head that nobody else changes before the transaction ends, and numbers for new records. */
export interface Locked {
  readonly head: ChainHead;
  /** They rise, and are above those of all records that the chain has. */
  readonly ids: readonly bigint[];
}

interface LockedRow extends ChainHead {
  /** The driver gives the elements of bigint[] as text. */
  readonly ids: readonly string[];
}

// The name that PostgreSQL gave the sequence of audit_events.id.
const NEXT_ID = "nextval('audit_events_id_seq')";

// Numbers are drawn when the row is locked, not before: those of the records before are then lower.
const LOCKED = `SELECT head.seq, head.mac,
    ARRAY(SELECT ${NEXT_ID} FROM generate_series(1, ?::int) WHERE head.seq IS NOT NULL) AS ids
  FROM head`;

const LOCK = `WITH head AS MATERIALIZED (SELECT seq, mac FROM audit_chains WHERE chain = ? FOR UPDATE) ${LOCKED}`;

const INSERT_CHAIN = `INSERT INTO audit_chains AS c (chain, purpose, key_id, started_at, format, seq, mac)`;

const BEGIN = `WITH head AS (${INSERT_CHAIN}
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (chain) DO UPDATE SET seq = c.seq RETURNING seq, mac)
  ${LOCKED}`;

/** lastIs is the SQL condition that the last record of a chain is the one given; that there is none, for the number 0. */
function lastIs(chain: string, seq: string, mac: string): string {
  return `coalesce((SELECT e.seq = ${seq}::bigint AND e.mac = ${mac} FROM audit_events e
    WHERE e.chain = ${chain} ORDER BY e.seq DESC LIMIT 1), ${seq}::bigint = 0)`;
}

const EXTEND = `WITH head AS (
    UPDATE audit_chains c SET seq = ?, mac = ? WHERE chain = ? AND ${lastIs('c.chain', '?', '?')}
    RETURNING chain
  ), written AS (${insertEvents('?', 'head')} RETURNING 1)
  SELECT count(*) AS written FROM written`;

// A record is durable only if the numbers drawn before it are, so drawing them need not wait for the disk.
const DRAW_IDS = `WITH hurry AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
  SELECT ${NEXT_ID} AS id FROM hurry, generate_series(1, $1::int)`;

/** A record that is said to be written must survive a crash of the database, whatever the role has set. */
const DURABLE = `durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true))`;

/** appended is the result of a statement that appends: with numbers for the next one, which then need not be drawn. */
function appended(count: string): string {
  return `SELECT count(*) AS written, ARRAY(SELECT ${NEXT_ID} FROM generate_series(1, ${count}::int)) AS ids
    FROM written, durable`;
}

const APPEND_FIRST = `WITH ${DURABLE}, head AS (
    ${INSERT_CHAIN} VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING chain
  ), written AS (${insertEvents('$8', 'head')} RETURNING 1)
  ${appended('$9')}`;

const APPEND = `WITH ${DURABLE}, head AS (
    UPDATE audit_chains c SET seq = $2, mac = $3
    WHERE chain = $1 AND seq = $4 AND mac = $5 AND ${lastIs('$1', '$4', '$5')}
    RETURNING chain
  ), written AS (${insertEvents('$6', 'head')} RETURNING 1)
  ${appended('$7')}`;

const COMPARE = `SELECT c.chain IS NOT NULL AS has_row,
    coalesce(c.seq = k.seq AND c.mac = k.mac, false) AS is_head,
    k.seq = 0 OR EXISTS (SELECT FROM audit_events e WHERE e.chain = k.chain AND e.seq = k.seq) AS has_record,
    k.seq = 0 OR EXISTS (SELECT FROM audit_events e WHERE e.chain = k.chain AND e.seq = k.seq AND e.mac = k.mac)
      AS is_record
  FROM (SELECT ?::uuid AS chain, ?::bigint AS seq, ?::bytea AS mac) k LEFT JOIN audit_chains c USING (chain)`;

// Those that chains were begun with before the first one of the key given, unless a replica may still begin others.
const OLDER_KEYS = `SELECT key_id FROM audit_chains WHERE key_id <> ?
  AND NOT EXISTS (SELECT FROM replicas WHERE lease_expires_at > clock_timestamp() AND key_id IS DISTINCT FROM ?)
  GROUP BY key_id
  HAVING min(started_at) < coalesce((SELECT min(started_at) FROM audit_chains WHERE key_id = ?), 'infinity')
  ORDER BY key_id`;

/** ChainRepository is every SQL statement that writes the audit log, or needs to know what was written. */
export class ChainRepository {
  readonly #knex: Knex;
  readonly #drawIds: (values: unknown[]) => Promise<{ id: bigint }[]>;
  readonly #appendFirst: (values: unknown[]) => Promise<AppendedRow[]>;
  readonly #append: (values: unknown[]) => Promise<AppendedRow[]>;

  constructor(knex: Knex) {
    this.#knex = knex;
    this.#drawIds = prepare(knex, 'audit-ids', DRAW_IDS);
    this.#appendFirst = prepare(knex, 'audit-append-first', APPEND_FIRST);
    this.#append = prepare(knex, 'audit-append', APPEND);
  }

  /**
   * lockHead makes other writers of this chain wait until the transaction ends, and draws `count` numbers. It gives
   * undefined where there is no such chain.
   */
  async lockHead(trx: Knex.Transaction, { chain }: Chain, count: number): Promise<Locked | undefined> {
    return locked(await rows<LockedRow>(trx, LOCK, [chain, count]));
  }

  /** begin makes the row of a chain, unless another transaction has just done it, and locks it. */
  async begin(trx: Knex.Transaction, chain: Chain, count: number): Promise<Locked> {
    const head = locked(await rows<LockedRow>(trx, BEGIN, [...begun(chain, originOf(chain)), count]));
    if (head === undefined) throw new Error('INSERT ... RETURNING gave no row');
    return head;
  }

  /**
   * extend writes records behind a locked head, all or none. It gives false, and has written none, where the record of
   * that head is not the chain's last one.
   */
  async extend(
    trx: Knex.Transaction,
    { chain }: Chain,
    before: ChainHead,
    head: ChainHead,
    records: readonly ChainedRecord[],
  ): Promise<boolean> {
    const last = [String(before.seq), before.mac, String(before.seq)];
    const values = [String(head.seq), head.mac, chain, ...last, recordsJson(records)];
    return isWritten(await rows<{ written: bigint }>(trx, EXTEND, values));
  }

  /** drawIds gives numbers for records that are appended at once. */
  async drawIds(count: number): Promise<bigint[]> {
    return inOrder((await this.#drawIds([count])).map(({ id }) => id));
  }

  /**
   * append writes records behind a head that only this process writes, all or none, in one statement; the first
   * ones begin the chain. It gives numbers for as many records more; undefined, and has written none, where the head
   * is not the one expected, or its record is not the last one. After a failure nobody knows whether they were written.
   */
  async append(
    chain: Chain,
    before: ChainHead,
    head: ChainHead,
    records: readonly ChainedRecord[],
    more: number,
  ): Promise<bigint[] | undefined> {
    const values = [recordsJson(records), more];
    const heads = [String(head.seq), head.mac, String(before.seq), before.mac];
    const result = await (before.seq === 0n
      ? this.#appendFirst([...begun(chain, head), ...values])
      : this.#append([chain.chain, ...heads, ...values]));
    if (!isWritten(result)) return undefined;
    return inOrder(result.flatMap(({ ids }) => ids.map(BigInt)));
  }

  /** olderKeys lists the keys that were first before one, if all replicas have that one first now. */
  async olderKeys(trx: Knex.Transaction, keyId: string): Promise<string[]> {
    const found = await rows<{ key_id: string }>(trx, OLDER_KEYS, [keyId, keyId, keyId]);
    return found.map(({ key_id: older }) => older);
  }

  /** compare tells how a chain differs from what is known of its head. */
  async compare(
    { chain }: Chain,
    { seq, mac }: ChainHead,
    trx: Knex | Knex.Transaction = this.#knex,
  ): Promise<Finding> {
    const [row] = await rows<ComparedRow>(trx, COMPARE, [chain, String(seq), mac]);
    if (row?.has_row !== true) return 'CHAIN_MISSING';
    if (!row.is_head) return 'HEAD_CHANGED';
    if (!row.has_record) return 'RECORD_MISSING';
    return row.is_record ? 'RECORD_INSERTED' : 'RECORD_CHANGED';
  }

  /** hasRecorded looks through the records of a kind that name no resource. */
  async hasRecorded(action: string, kind: string, trx: Knex = this.#knex): Promise<boolean> {
    const found: unknown[] = await trx('audit_events')
      .select('id')
      .where({ resource_kind: kind, action })
      .whereNull('resource_id')
      .limit(1);
    return found.length > 0;
  }
}

interface AppendedRow {
  readonly written: bigint;
  /** The driver gives the elements of bigint[] as text. */
  readonly ids: readonly string[];
}

interface ComparedRow {
  has_row: boolean;
  is_head: boolean;
  has_record: boolean;
  is_record: boolean;
}

/** begun is the values of a chain's row with a head. */
function begun(chain: Chain, { seq, mac }: ChainHead): (string | number | Buffer)[] {
  const { purpose, keyId, startedAt, format } = chain;
  return [chain.chain, purpose, keyId, formatPgTimestamp(startedAt), format, String(seq), mac];
}

function locked([row]: readonly LockedRow[]): Locked | undefined {
  return row && { head: { seq: row.seq, mac: row.mac }, ids: inOrder(row.ids.map(BigInt)) };
}

function inOrder(ids: bigint[]): bigint[] {
  return ids.sort((a, b) => (a < b ? -1 : 1));
}

function isWritten([result]: readonly { readonly written: bigint }[]): boolean {
  return result !== undefined && result.written > 0n;
}

async function rows<Row>(knex: Knex, sql: string, bindings: readonly Knex.RawBinding[]): Promise<Row[]> {
  return (await knex.raw<{ rows: Row[] }>(sql, bindings)).rows;
}
