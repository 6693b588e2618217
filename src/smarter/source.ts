/**
 * TextRow is a row as PostgreSQL would write it, whichever the engine: every value is text; flags are `t` and
 * `f`, times end in their offset. Text keeps what driver types lose: microseconds, big numbers, JSON as written.
 */
export type TextRow = Readonly<Record<string, string | null>>;

/** Source is one consistent, read-only view of a Smarter platform's database. */
export interface Source {
  /** tables names the tables there are. */
  tables(): Promise<ReadonlySet<string>>;
  /**
   * rows runs one query that both engines understand and yields its rows in batches, in order: of so many rows, or
   * fewer where these are large.
   * One query at a time: the batches must be read to their end before the next query.
   */
  rows(sql: string, batchSize: number): AsyncIterable<readonly TextRow[]>;
  /** exactly is the SQL that groups by a text column's exact characters, whatever its collation. */
  exactly(column: string): string;
  /** hex is the SQL that writes a binary column as hexadecimal digits; NULL where they are too many for the server. */
  hex(column: string): string;
  close(): Promise<void>;
}
