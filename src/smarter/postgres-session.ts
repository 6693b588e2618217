import type { QueryResultRow } from 'pg';
import { DatabaseClient } from '../db/database-client.js';
import { LONG_STATEMENT_MS } from '../db/statement-limit.js';
import { answered } from './answer-limit.js';

export const CONNECT_LIMIT_MS = 10_000;

/** All values are read as text. */
const asText = { getTypeParser: () => (value: string) => value };

/** PostgresSession is a connection to a platform's PostgreSQL. */
export class PostgresSession {
  readonly #client: DatabaseClient;
  readonly #limitMs: number;

  private constructor(client: DatabaseClient, limitMs: number) {
    this.#client = client;
    this.#limitMs = limitMs;
  }

  /** open connects, and runs what a session begins with. */
  static async open(
    url: string,
    command: string,
    limitMs: number,
    first: readonly string[],
  ): Promise<PostgresSession> {
    const client = new DatabaseClient({
      connectionString: url,
      application_name: `keyward ${command}`,
      connectionTimeoutMillis: Math.min(CONNECT_LIMIT_MS, limitMs),
      limitMs: LONG_STATEMENT_MS,
      types: asText,
    });
    // A lost connection also fails the query under way, or the next one; without a listener it would end the process.
    client.on('error', () => undefined);
    const session = new PostgresSession(client, limitMs);
    try {
      await client.connect();
      for (const statement of first) await session.query(statement);
    } catch (error) {
      await session.close();
      throw error;
    }
    return session;
  }

  async query<Row extends QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<Row[]> {
    const answer = this.#client.query<Row>(sql, values === undefined ? undefined : [...values]);
    const { rows } = await answered(answer, this.#limitMs, () => {
      this.#cut(sql);
    });
    return rows;
  }

  #cut(sql: string): void {
    // A COMMIT that is cancelled while it waits for a standby is one for everybody else.
    if (sql !== 'COMMIT') this.#client.cancel();
    this.#client.connection.stream.destroy();
  }

  async close(): Promise<void> {
    await this.#client.end();
  }
}
