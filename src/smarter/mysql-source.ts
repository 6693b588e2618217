import mysql, { type Connection, type TypeCastField } from 'mysql2';
import { readMysqlLink } from './mysql-link.js';
import { PIECE, RowBatches } from './row-batches.js';
import type { Source, TextRow } from './source.js';

/** MysqlSource streams from one consistent snapshot of MySQL 8 or MariaDB 10.11, or newer. */
export class MysqlSource implements Source {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async open(url: string): Promise<MysqlSource> {
    const connection = mysql.createConnection({
      ...readMysqlLink(url).options,
      charset: 'utf8mb4',
      connectTimeout: 10_000,
      enableKeepAlive: true,
      typeCast: textOf,
    });
    // A lost connection also fails the query under way, or the next one; without a listener it would end the process.
    connection.on('error', () => undefined);
    try {
      const session = connection.promise();
      // Unlike the driver's defaults: the server must bear with a reader that pauses to write.
      await session.query('SET SESSION net_write_timeout = 3600, SESSION wait_timeout = 28800');
      // Rows are sorted with their values in them, and MySQL fails on a row that its buffer cannot hold.
      await session.query('SET SESSION sort_buffer_size = 33554432');
      await session.query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
      await session.query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
    } catch (error) {
      connection.destroy();
      throw error;
    }
    return new MysqlSource(connection);
  }

  async tables(): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    const sql = 'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()';
    for await (const batch of this.rows(sql, 1000)) {
      for (const { name } of batch) if (typeof name === 'string') names.add(name);
    }
    return names;
  }

  async *rows(sql: string, batchSize: number): AsyncGenerator<readonly TextRow[]> {
    const stream = this.#connection.query(sql).stream({ highWaterMark: PIECE });
    const batches = new RowBatches(batchSize);
    for await (const row of stream as AsyncIterable<TextRow>) {
      const batch = batches.add(row);
      if (batch !== undefined) yield batch;
    }
    const rest = batches.rest();
    if (rest.length > 0) yield rest;
  }

  exactly(column: string): string {
    return `BINARY ${column}`;
  }

  hex(column: string): string {
    return `HEX(${column})`;
  }

  close(): Promise<void> {
    // Not a polite end: a stream that was left half-way would have to be read first.
    this.#connection.destroy();
    return Promise.resolve();
  }
}

/** textOf writes a value as PostgreSQL would. Times have no zone in MySQL; Django keeps them in UTC. */
export function textOf(field: TypeCastField): string | null {
  const text = field.buffer()?.toString('utf8');
  if (text === undefined) return null;
  if (field.type === 'DATETIME' || field.type === 'TIMESTAMP') return `${text}+00`;
  if (field.type === 'TINY' && field.length === 1) return text === '0' ? 'f' : 't';
  return text;
}
