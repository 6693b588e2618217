import type { Readable } from 'node:stream';
import mysql, { type Connection } from 'mysql2';
import { connectMysql } from './platform-connections.js';
import { PIECE, RowBatches } from './row-batches.js';
import type { ForeignKey, Source, TextRow } from './source.js';

const BEGIN = 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY';

/**
 * Columns of which the beginning is enough to tell that they changed: each value was encrypted with chance in its first
 * bytes.
 */
const TOLD_BY_BEGINNING = new Set(['encrypted_value']);

/** Columns that are what they were when the row was made. */
const UNCHANGING = new Set(['digest', 'authtoken_ptr_id', 'key_id', 'created', 'created_at', 'date_joined']);

/** MysqlSource streams from one consistent snapshot of MySQL 8 or MariaDB 10.11, or newer. */
export class MysqlSource implements Source {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async open(url: string): Promise<MysqlSource> {
    const connection = await connectMysql(url, [
      // Unlike the driver's defaults: the server must bear with a reader that pauses to write.
      'SET SESSION net_write_timeout = 3600, SESSION wait_timeout = 28800',
      // Rows are sorted with their values in them, and MySQL fails on a row that its buffer cannot hold.
      'SET SESSION sort_buffer_size = 33554432',
      'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
      BEGIN,
    ]);
    return new MysqlSource(connection);
  }

  async tables(): Promise<ReadonlySet<string>> {
    return this.#names(
      'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()',
    );
  }

  async columns(table: string): Promise<ReadonlySet<string>> {
    const sql =
      'SELECT column_name AS name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ?';
    return this.#names(mysql.format(sql, [table]));
  }

  async foreignKeysTo(target: string): Promise<readonly ForeignKey[]> {
    const sql = mysql.format(
      `SELECT MAX(table_name) AS table_, MAX(column_name) AS column_, MAX(referenced_column_name) AS target_column
       FROM information_schema.key_column_usage
       WHERE table_schema = DATABASE() AND referenced_table_schema = DATABASE()
         AND referenced_table_name = ? AND table_name <> referenced_table_name
       GROUP BY constraint_name, table_name HAVING COUNT(*) = 1 ORDER BY 1, 2`,
      [target],
    );
    const keys: ForeignKey[] = [];
    for await (const batch of this.rows(sql, 1000)) {
      for (const { table_: table, column_: column, target_column: targetColumn } of batch) {
        if (table == null || column == null || targetColumn == null) continue;
        keys.push({ table, column, target, targetColumn });
      }
    }
    return keys;
  }

  async *rows(sql: string, batchSize: number): AsyncGenerator<readonly TextRow[]> {
    const batches = new RowBatches(batchSize);
    for await (const row of this.#stream(sql)) {
      const batch = batches.add(row);
      if (batch !== undefined) yield batch;
    }
    const rest = batches.rest();
    if (rest.length > 0) yield rest;
  }

  /** #stream fails when the connection is lost, which the driver tells the connection alone: its streams would wait for ever. */
  async *#stream(sql: string): AsyncGenerator<TextRow> {
    const failures: Error[] = [];
    let stream: Readable | undefined;
    const fail = (error: Error): void => {
      failures.push(error);
      stream?.destroy(error);
    };
    this.#connection.on('error', fail);
    try {
      stream = this.#connection.query(sql).stream({ highWaterMark: PIECE });
      // One that is lost already tells so while it is asked.
      const [lost] = failures;
      if (lost !== undefined) throw lost;
      yield* stream as AsyncIterable<TextRow>;
    } finally {
      this.#connection.off('error', fail);
    }
  }

  named(identifier: string): string {
    return mysql.escapeId(identifier, true);
  }

  exactly(column: string): string {
    return `BINARY ${column}`;
  }

  hex(column: string): string {
    return `HEX(${column})`;
  }

  keyId(uuid: string): string {
    return `'${uuid.replaceAll('-', '')}'`;
  }

  within(column: string, seconds: number): string {
    const span = `INTERVAL ${seconds} SECOND`;
    return `${column} BETWEEN UTC_TIMESTAMP(6) - ${span} AND UTC_TIMESTAMP(6) + ${span}`;
  }

  stamp(alias: string, columns: ReadonlySet<string>): string {
    const values = [...columns]
      .filter((column) => !UNCHANGING.has(column))
      .map((column) => {
        const value = `${alias}.${this.named(column)}`;
        return TOLD_BY_BEGINNING.has(column) ? `LEFT(${value}, 64)` : value;
      });
    // NULL is left out of the text. To replace it there would take twice as long.
    const areNull = values.map((value, index) => `(${value} IS NULL) * ${2 ** index}`);
    return `CRC32(CONCAT_WS('|', ${[...values, areNull.join(' + ')].join()}))`;
  }

  async indexed(table: string): Promise<ReadonlySet<string>> {
    const sql = `SELECT column_name AS name FROM information_schema.statistics
      WHERE table_schema = DATABASE() AND table_name = ? AND seq_in_index = 1`;
    return this.#names(mysql.format(sql, [table]));
  }

  async renew(): Promise<void> {
    for (const statement of ['ROLLBACK', BEGIN]) await this.#connection.promise().query(statement);
  }

  close(): Promise<void> {
    // Not a polite end: a stream that was left half-way would have to be read first.
    this.#connection.destroy();
    return Promise.resolve();
  }

  async #names(sql: string): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    for await (const batch of this.rows(sql, 1000)) {
      for (const { name } of batch) if (typeof name === 'string') names.add(name);
    }
    return names;
  }
}
