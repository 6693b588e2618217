import { PLATFORM_COMMIT_LOCK } from '../../db/advisory-locks.js';
import { PostgresSession } from '../postgres-session.js';
import type { TextRow } from '../source.js';
import {
  spread,
  type Platform,
  type PlatformTransaction,
  type PlatformValue,
  type Reference,
} from './platform.js';

/** PostgresPlatform writes a platform's PostgreSQL. */
export class PostgresPlatform implements Platform {
  readonly #session: PostgresSession;

  private constructor(session: PostgresSession) {
    this.#session = session;
  }

  static async open(url: string, limitMs: number): Promise<PostgresPlatform> {
    // What the platform holds locked for longer is tried again.
    const first = `SET TIME ZONE 'UTC'; SET datestyle = 'ISO, YMD'; SET lock_timeout = '2s';
      -- One whose writer is lost to the network gives up its locks then.
      SET idle_in_transaction_session_timeout = '60s'`;
    return new PostgresPlatform(await PostgresSession.open(url, 'export-smarter', limitMs, [first]));
  }

  async tables(): Promise<ReadonlySet<string>> {
    const rows = await this.#session.query<{ name: string }>(
      'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false))',
    );
    return new Set(rows.map(({ name }) => name));
  }

  async run<T>(work: (trx: PlatformTransaction) => Promise<T>, keep: boolean): Promise<T> {
    await this.#session.query('BEGIN ISOLATION LEVEL READ COMMITTED; SET CONSTRAINTS ALL IMMEDIATE');
    try {
      await this.#session.query('SELECT pg_advisory_xact_lock($1)', [PLATFORM_COMMIT_LOCK]);
      const result = await work({
        query: (sql, values = []) => this.#query(sql, values),
        time: (text) => text,
        keyId: (uuid) => uuid,
        hex: (column) => `encode(${column}, 'hex')`,
      });
      await this.#session.query(keep ? 'COMMIT' : 'ROLLBACK');
      return result;
    } catch (error) {
      await this.#session.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  async references(table: string): Promise<readonly Reference[]> {
    return this.#session.query<{ table: string; column: string }>(
      `SELECT c.conrelid::regclass::text AS table, quote_ident(a.attname) AS column
       FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
       WHERE c.contype = 'f' AND c.confrelid = to_regclass($1)`,
      [table],
    );
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  async #query(sql: string, values: readonly PlatformValue[]): Promise<readonly TextRow[]> {
    const flat = spread(sql, values);
    let place = 0;
    const numbered = flat.sql.replaceAll('?', () => `$${(place += 1)}`);
    return this.#session.query<TextRow>(numbered, flat.values);
  }
}
