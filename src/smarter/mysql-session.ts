import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import mysql, { type Connection, type TypeCastField } from 'mysql2';
import { PLATFORM_COMMIT_LOCK } from '../db/advisory-locks.js';
import { answered } from './answer-limit.js';
import { readMysqlLink } from './mysql-link.js';
import { CONNECT_LIMIT_MS } from './postgres-session.js';
import { PIECE } from './row-batches.js';
import type { TextRow } from './source.js';

/** COMMIT_LOCK names, in SQL, the lock that each transaction of an export holds until its commit is done. */
export const COMMIT_LOCK = `CONCAT('keyward ${PLATFORM_COMMIT_LOCK} ', MD5(DATABASE()))`;

/** Inside is what the driver's types do not tell of. */
interface Inside {
  readonly stream: Socket;
}

/** MysqlSession is a connection to a platform's MySQL 8 or MariaDB 10.2, or newer. */
export class MysqlSession {
  readonly #connection: Connection;
  readonly #limitMs: number;

  private constructor(connection: Connection, limitMs: number) {
    this.#connection = connection;
    this.#limitMs = limitMs;
  }

  /** open connects, and runs what a session begins with. */
  static async open(url: string, limitMs: number, first: readonly string[]): Promise<MysqlSession> {
    const connection = mysql.createConnection({
      ...readMysqlLink(url).options,
      charset: 'utf8mb4',
      connectTimeout: Math.min(CONNECT_LIMIT_MS, limitMs),
      enableKeepAlive: true,
      typeCast: textOf,
    });
    // A lost connection also fails the query under way, or the next one; without a listener it would end the process.
    connection.on('error', () => undefined);
    const session = new MysqlSession(connection, limitMs);
    try {
      for (const statement of first) await session.query(statement);
    } catch (error) {
      session.close();
      throw error;
    }
    return session;
  }

  /** query gives the rows of the answer; none of a statement that has no rows. */
  async query(
    sql: string,
    values: readonly (string | boolean | Buffer | null)[] = [],
  ): Promise<readonly TextRow[]> {
    const [rows] = await this.#answered(this.#connection.promise().query(sql, [...values]));
    return Array.isArray(rows) ? (rows as unknown as TextRow[]) : [];
  }

  /** stream fails when the connection is lost, which the driver tells the connection alone: its streams would wait for ever. */
  async *stream(sql: string): AsyncGenerator<TextRow> {
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
      const rows = (stream as AsyncIterable<TextRow>)[Symbol.asyncIterator]();
      // Only while it is waited for a row does the time count, not while rows are written.
      for (;;) {
        const next = await this.#answered(rows.next());
        if (next.done === true) break;
        yield next.value;
      }
    } finally {
      this.#connection.off('error', fail);
      stream?.destroy();
    }
  }

  #answered<T>(answer: Promise<T>): Promise<T> {
    return answered(answer, this.#limitMs, () => {
      this.close();
    });
  }

  close(): void {
    // Not a polite end: a stream that was left half-way would have to be read first.
    this.#connection.destroy();
    // The driver leaves its socket open until the other side has closed it, too.
    (this.#connection as unknown as Inside).stream.destroy();
  }
}

/** textOf writes a value as PostgreSQL would. Times have no zone in MySQL; Django keeps them in UTC. */
function textOf(field: TypeCastField): string | null {
  const text = field.buffer()?.toString('utf8');
  if (text === undefined) return null;
  if (field.type === 'DATETIME' || field.type === 'TIMESTAMP') return `${text}+00`;
  if (field.type === 'TINY' && field.length === 1) return text === '0' ? 'f' : 't';
  return text;
}
