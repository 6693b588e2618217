import mysql from 'mysql2';
import { COMMIT_LOCK, MysqlSession } from './mysql-session.js';
import { RowBatches } from './row-batches.js';
import type { ForeignKey, LastWrite, Place, Source, TextRow } from './source.js';

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
  readonly #session: MysqlSession;

  private constructor(session: MysqlSession) {
    this.#session = session;
  }

  static async open(url: string, limitMs: number): Promise<MysqlSource> {
    const session = await MysqlSession.open(url, limitMs, [
      // Unlike the driver's defaults: the server must bear with a reader that pauses to write.
      // MySQL, not MariaDB, would tell for a day what it once knew of its tables.
      'SET SESSION net_write_timeout = 3600, SESSION wait_timeout = 28800 /*!80000 , SESSION information_schema_stats_expiry = 0 */',
      // Rows are sorted with their values in them, and MySQL fails on a row that its buffer cannot hold.
      'SET SESSION sort_buffer_size = 33554432',
      'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
      BEGIN,
    ]);
    return new MysqlSource(session);
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
    for await (const row of this.#session.stream(sql)) {
      const batch = batches.add(row);
      if (batch !== undefined) yield batch;
    }
    const rest = batches.rest();
    if (rest.length > 0) yield rest;
  }

  few(sql: string): Promise<readonly TextRow[]> {
    return this.#session.query(sql);
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

  stampSum(alias: string, columns: ReadonlySet<string>): string {
    return `COALESCE(SUM(${this.stamp(alias, columns)}), 0)`;
  }

  block(): Place | undefined {
    return undefined;
  }

  async writes(tables: readonly string[]): Promise<ReadonlyMap<string, LastWrite>> {
    // In whole seconds. A server that was started anew does not know.
    const sql = `SELECT table_name AS name, COALESCE(update_time, '') AS at,
        IF(update_time >= NOW() - INTERVAL 3 SECOND, 'yes', 'no') AS recent
      FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN (?)`;
    const rows = await this.#session.query(mysql.format(sql, [[...tables]]));
    return new Map(
      rows.map(({ name, at, recent }) => [name ?? '', { at: at ?? '', isRecent: recent === 'yes' }]),
    );
  }

  async indexed(table: string): Promise<ReadonlySet<string>> {
    const sql = `SELECT column_name AS name FROM information_schema.statistics
      WHERE table_schema = DATABASE() AND table_name = ? AND seq_in_index = 1`;
    return this.#names(mysql.format(sql, [table]));
  }

  async isSettled(): Promise<boolean> {
    // A replica does not know the locks of its primary.
    const sql = `SELECT IF(IS_FREE_LOCK(${COMMIT_LOCK}) AND NOT @@GLOBAL.read_only, 'yes', 'no') AS free`;
    const [row] = await this.#session.query(sql);
    return row?.['free'] === 'yes';
  }

  async renew(): Promise<void> {
    for (const statement of ['ROLLBACK', BEGIN]) await this.#session.query(statement);
  }

  close(): Promise<void> {
    this.#session.close();
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
