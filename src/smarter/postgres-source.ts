import { PLATFORM_COMMIT_LOCK } from '../db/advisory-locks.js';
import { PostgresSession } from './postgres-session.js';
import { RowBatches } from './row-batches.js';
import type { ForeignKey, LastWrite, Place, Source, TextRow } from './source.js';

const BEGIN = [
  'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
  `
    SET LOCAL TIME ZONE 'UTC';
    SET LOCAL datestyle = 'ISO, YMD';
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0;
    -- Every row is read: plan for all of them, not for the first few.
    SET LOCAL cursor_tuple_fraction = 1`,
];
/** A slice may be a good part of a table, which would be read as a whole then. */
const BY_INDEX = 'SET LOCAL enable_seqscan = off; SET LOCAL jit = off';

/** PostgresSource reads through cursors in one REPEATABLE READ transaction. */
export class PostgresSource implements Source {
  readonly #session: PostgresSession;

  private constructor(session: PostgresSession) {
    this.#session = session;
  }

  static async open(url: string, limitMs: number): Promise<PostgresSource> {
    return new PostgresSource(await PostgresSession.open(url, 'import-smarter', limitMs, BEGIN));
  }

  async tables(): Promise<ReadonlySet<string>> {
    const rows = await this.#session.query<{ name: string }>(
      'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false))',
    );
    return new Set(rows.map(({ name }) => name));
  }

  async columns(table: string): Promise<ReadonlySet<string>> {
    const rows = await this.#session.query<{ name: string }>(
      `SELECT column_name AS name FROM information_schema.columns
       WHERE table_schema = ANY (current_schemas(false)) AND table_name = $1`,
      [table],
    );
    return new Set(rows.map(({ name }) => name));
  }

  // Of the catalog itself: information_schema hides constraints from those who may only read.
  async foreignKeysTo(target: string): Promise<readonly ForeignKey[]> {
    const rows = await this.#session.query<ForeignKey>(
      `SELECT c.relname AS "table", a.attname AS "column", t.relname AS "target", ta.attname AS "targetColumn"
       FROM pg_constraint f
       JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_class t ON t.oid = f.confrelid
       JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
       JOIN pg_attribute ta ON ta.attrelid = f.confrelid AND ta.attnum = f.confkey[1]
       WHERE f.contype = 'f' AND cardinality(f.conkey) = 1 AND f.conrelid <> f.confrelid
         AND n.nspname = ANY (current_schemas(false)) AND t.oid = to_regclass(quote_ident($1))
       ORDER BY 1, 2`,
      [target],
    );
    return rows;
  }

  async *rows(sql: string, batchSize: number): AsyncGenerator<readonly TextRow[]> {
    await this.#session.query(`DECLARE batches NO SCROLL CURSOR FOR ${sql}`);
    const batches = new RowBatches(batchSize);
    for (;;) {
      const rows = await this.#session.query<TextRow>(`FETCH ${batches.nextPiece()} FROM batches`);
      if (rows.length === 0) break;
      for (const row of rows) {
        const batch = batches.add(row);
        if (batch !== undefined) yield batch;
      }
    }
    const rest = batches.rest();
    if (rest.length > 0) yield rest;
    await this.#session.query('CLOSE batches');
  }

  few(sql: string): Promise<readonly TextRow[]> {
    return this.#session.query<TextRow>(sql);
  }

  named(identifier: string): string {
    return `"${identifier.replaceAll('"', '""')}"`;
  }

  exactly(column: string): string {
    return column;
  }

  hex(column: string): string {
    return `encode(${column}, 'hex')`;
  }

  keyId(uuid: string): string {
    return `'${uuid}'`;
  }

  within(column: string, seconds: number): string {
    return `${column} BETWEEN now() - interval '${seconds} s' AND now() + interval '${seconds} s'`;
  }

  // Every version of a row names the transaction that wrote it, always a later one.
  stamp(alias: string): string {
    return `${alias}.xmin::text::bigint`;
  }

  // Not by the text of each: that takes as long again as to read the row.
  stampSum(alias: string): string {
    const next = `(age('3'::xid)::bigint + 3)`;
    return `COUNT(*) * ${next} - COALESCE(SUM(age(${alias}.xmin)), 0)`;
  }

  block(table: string, alias: string): Place {
    return {
      column: `${alias}.ctid`,
      numbers: {
        of: `(${alias}.ctid::text::point)[0]::bigint`,
        highest: `pg_relation_size('${table}') / current_setting('block_size')::bigint`,
        bucket: 4,
      },
      // Not without a range: the table would be scanned.
      everywhere: `${alias}.ctid >= '(0,0)'::tid`,
      literal: (block) => `'(${block},0)'::tid`,
    };
  }

  writes(): Promise<ReadonlyMap<string, LastWrite>> {
    return Promise.resolve(new Map());
  }

  async indexed(table: string): Promise<ReadonlySet<string>> {
    const rows = await this.#session.query<{ name: string }>(
      `SELECT a.attname AS name FROM pg_index i
       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
       WHERE i.indrelid = to_regclass(quote_ident($1)) AND i.indisvalid AND i.indpred IS NULL`,
      [table],
    );
    return new Set(rows.map(({ name }) => name));
  }

  async isSettled(): Promise<boolean> {
    await this.#session.query('ROLLBACK');
    // A standby does not know the locks of its primary.
    const sql = 'SELECT NOT pg_is_in_recovery() AND pg_try_advisory_xact_lock($1) AS free';
    const [row] = await this.#session.query<{ free: string }>(sql, [PLATFORM_COMMIT_LOCK]);
    return row?.free === 't';
  }

  async renew(reads: 'everything' | 'few rows'): Promise<void> {
    const begin = reads === 'everything' ? BEGIN : [...BEGIN, BY_INDEX];
    // By itself: the server brings its statistics up to date between two transactions alone.
    await this.#session.query('ROLLBACK');
    await this.#session.query(begin.join('; '));
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}
