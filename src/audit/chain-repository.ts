import type { Knex } from 'knex';
import { prepare } from '../db/prepared.js';
import { KeywardError } from '../lib/errors.js';
import { formatPgTimestamp } from '../lib/instant.js';
import { originOf, type Chain, type ChainedRecord, type ChainHead } from './audit-record.js';
import { insertEvents, recordsJson } from './audit-rows.js';

const BEGIN = `INSERT INTO audit_chains AS c (chain, purpose, key_id, started_at, seq, mac)
  VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (chain) DO UPDATE SET seq = c.seq RETURNING seq, mac`;

const LOCK = 'SELECT seq, mac FROM audit_chains WHERE chain = ? FOR UPDATE';

const EXTEND = `WITH head AS (UPDATE audit_chains SET seq = ?, mac = ? WHERE chain = ? RETURNING chain)
  ${insertEvents('?', 'head')}`;

// Nothing is written where the head is not the one expected.
const APPEND = `WITH head AS (
    INSERT INTO audit_chains AS c (chain, purpose, key_id, started_at, seq, mac)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (chain) DO UPDATE SET seq = excluded.seq, mac = excluded.mac WHERE c.seq = $7
    RETURNING chain
  ), written AS (${insertEvents('$8', 'head')} RETURNING 1)
  SELECT count(*) AS written FROM written`;

/** ChainRepository is every SQL statement that writes the audit log, or needs to know what was written. */
export class ChainRepository {
  readonly #knex: Knex;
  readonly #append: (values: unknown[]) => Promise<{ written: bigint }[]>;

  constructor(knex: Knex) {
    this.#knex = knex;
    this.#append = prepare(knex, 'audit-append', APPEND);
  }

  /** lockHead makes other writers of this chain wait until the transaction ends. A chain that is not there is begun. */
  async lockHead(trx: Knex.Transaction, chain: Chain): Promise<ChainHead> {
    const [found] = await rows<ChainHead>(trx, LOCK, [chain.chain]);
    const [head] = found === undefined ? await rows<ChainHead>(trx, BEGIN, begun(chain)) : [found];
    if (head === undefined) throw new Error('INSERT ... RETURNING gave no row');
    return head;
  }

  /** extend writes records behind a locked head. */
  async extend(
    trx: Knex.Transaction,
    chain: Chain,
    head: ChainHead,
    records: readonly ChainedRecord[],
  ): Promise<void> {
    await trx.raw(EXTEND, [String(head.seq), head.mac, chain.chain, recordsJson(records)]);
  }

  /**
   * append writes records behind a head that only this process writes, all or none, in one statement; the first
   * ones begin the chain. After a failure nobody knows whether they were written.
   */
  async append(
    chain: Chain,
    before: ChainHead,
    head: ChainHead,
    records: readonly ChainedRecord[],
  ): Promise<void> {
    const [id, purpose, keyId, startedAt] = begun(chain);
    const [result] = await this.#append([
      ...[id, purpose, keyId, startedAt, String(head.seq), head.mac],
      ...[String(before.seq), recordsJson(records)],
    ]);
    if (result?.written === BigInt(records.length)) return;
    throw new KeywardError('DATABASE_UNAVAILABLE', 'The audit log cannot be written.', {
      cause: new Error(`the head of the audit chain ${chain.chain} is not the one written last`),
    });
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

/** begun is the values of a chain's row before its first record. */
function begun(chain: Chain): (string | Buffer)[] {
  const { seq, mac } = originOf(chain);
  return [chain.chain, chain.purpose, chain.keyId, formatPgTimestamp(chain.startedAt), String(seq), mac];
}

async function rows<Row>(
  trx: Knex.Transaction,
  sql: string,
  bindings: readonly Knex.RawBinding[],
): Promise<Row[]> {
  return (await trx.raw<{ rows: Row[] }>(sql, bindings)).rows;
}
