import mysql from 'mysql2';
import { COMMIT_LOCK, MysqlSession } from '../mysql-session.js';
import type { TextRow } from '../source.js';
import {
  spread,
  type Platform,
  type PlatformTransaction,
  type PlatformValue,
  type Reference,
} from './platform.js';

/** MysqlPlatform writes a platform's MySQL 8 or MariaDB. */
export class MysqlPlatform implements Platform {
  readonly #session: MysqlSession;

  private constructor(session: MysqlSession) {
    this.#session = session;
  }

  static async open(url: string, limitMs: number): Promise<MysqlPlatform> {
    const session = await MysqlSession.open(url, limitMs, [
      // What does not fit is an error. The driver writes values as text, with backslashes before quotes.
      "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE'",
      'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
      // What the platform holds locked for longer is tried again.
      'SET SESSION innodb_lock_wait_timeout = 2',
      // One whose writer is lost to the network gives up its locks then.
      'SET SESSION wait_timeout = 600',
    ]);
    return new MysqlPlatform(session);
  }

  async tables(): Promise<ReadonlySet<string>> {
    const rows = await this.#query(
      'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()',
      [],
    );
    return new Set(rows.map(({ name }) => name ?? ''));
  }

  async run<T>(work: (trx: PlatformTransaction) => Promise<T>, keep: boolean): Promise<T> {
    await this.#begin();
    try {
      const result = await work({
        query: (sql, values = []) => this.#query(sql, values),
        // Times have no zone there; Django keeps them in UTC.
        time: (text) => text?.replace('T', ' ').replace(/Z$/, '') ?? null,
        keyId: (uuid) => uuid.replaceAll('-', ''),
        hex: (column) => `HEX(${column})`,
      });
      await this.#session.query(keep ? 'COMMIT' : 'ROLLBACK');
      return result;
    } catch (error) {
      await this.#session.query('ROLLBACK').catch(() => undefined);
      throw error;
    } finally {
      await this.#session.query(`SELECT RELEASE_LOCK(${COMMIT_LOCK})`).catch(() => undefined);
    }
  }

  async #begin(): Promise<void> {
    const [row] = await this.#query(`SELECT IF(GET_LOCK(${COMMIT_LOCK}, 2), 'yes', 'no') AS got`, []);
    if (row?.['got'] !== 'yes') {
      const held = new Error('another export is about to commit on the platform');
      throw Object.assign(held, { code: 'ER_LOCK_WAIT_TIMEOUT' });
    }
    await this.#session.query('START TRANSACTION');
  }

  async references(table: string): Promise<readonly Reference[]> {
    const rows = await this.#query(
      `SELECT table_name AS table_, column_name AS column_ FROM information_schema.key_column_usage
       WHERE table_schema = DATABASE() AND referenced_table_schema = DATABASE() AND referenced_table_name = ?`,
      [table],
    );
    return rows.map(({ table_: name, column_: column }) => {
      return { table: mysql.escapeId(name ?? ''), column: mysql.escapeId(column ?? '') };
    });
  }

  close(): Promise<void> {
    this.#session.close();
    return Promise.resolve();
  }

  async #query(sql: string, values: readonly PlatformValue[]): Promise<readonly TextRow[]> {
    const flat = spread(sql, values);
    return this.#session.query(flat.sql, flat.values);
  }
}
