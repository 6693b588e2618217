import type { DatabaseClient } from '../../db/database-client.js';
import { connectPostgres } from '../platform-connections.js';
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
  readonly #client: DatabaseClient;

  private constructor(client: DatabaseClient) {
    this.#client = client;
  }

  static async open(url: string): Promise<PostgresPlatform> {
    // What the platform holds locked for longer is tried again.
    const first = "SET TIME ZONE 'UTC'; SET datestyle = 'ISO, YMD'; SET lock_timeout = '2s'";
    const client = await connectPostgres(url, 'export-smarter', [first]);
    return new PostgresPlatform(client);
  }

  async tables(): Promise<ReadonlySet<string>> {
    const { rows } = await this.#client.query<{ name: string }>(
      'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false))',
    );
    return new Set(rows.map(({ name }) => name));
  }

  async run<T>(work: (trx: PlatformTransaction) => Promise<T>, keep: boolean): Promise<T> {
    await this.#client.query('BEGIN ISOLATION LEVEL READ COMMITTED; SET CONSTRAINTS ALL IMMEDIATE');
    try {
      const result = await work({
        query: (sql, values = []) => this.#query(sql, values),
        time: (text) => text,
        keyId: (uuid) => uuid,
        hex: (column) => `encode(${column}, 'hex')`,
      });
      await this.#client.query(keep ? 'COMMIT' : 'ROLLBACK');
      return result;
    } catch (error) {
      await this.#client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  async references(table: string): Promise<readonly Reference[]> {
    const { rows } = await this.#client.query<{ table: string; column: string }>(
      `SELECT c.conrelid::regclass::text AS table, quote_ident(a.attname) AS column
       FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
       WHERE c.contype = 'f' AND c.confrelid = to_regclass($1)`,
      [table],
    );
    return rows;
  }

  async close(): Promise<void> {
    await this.#client.end();
  }

  async #query(sql: string, values: readonly PlatformValue[]): Promise<readonly TextRow[]> {
    const flat = spread(sql, values);
    let place = 0;
    const numbered = flat.sql.replaceAll('?', () => `$${(place += 1)}`);
    const { rows } = await this.#client.query<TextRow>(numbered, flat.values);
    return rows;
  }
}
