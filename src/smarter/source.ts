/**
 * TextRow is a row as PostgreSQL would write it, whichever the engine: every value is text; flags are `t` and
 * `f`, times end in their offset. Text keeps what driver types lose: microseconds, big numbers, JSON as written.
 */
export type TextRow = Readonly<Record<string, string | null>>;

/** ForeignKey is a column of a table that points at a column of another one. */
export interface ForeignKey {
  readonly table: string;
  readonly column: string;
  readonly target: string;
  readonly targetColumn: string;
}

/** LastWrite tells when a table was written last. */
export interface LastWrite {
  readonly at: string;
  readonly isRecent: boolean;
}

/** Place is where a row lies in its table, in whose order slices of it are read. */
export interface Place {
  /** SQL of the place, of which ranges are read. */
  readonly column: string;
  /** Of places that are whole numbers or begin with one, and not with hexadecimal digits. */
  readonly numbers?: {
    /** SQL of the number. */
    readonly of: string;
    /** SQL of the highest number of all. */
    readonly highest: string;
    /** How many numbers make a bucket. */
    readonly bucket: number;
  };
  /** SQL that is true of all places. */
  readonly everywhere: string;
  /** literal writes a place in SQL, of its number or its first digits. */
  literal(text: string): string;
}

/** Source is one consistent, read-only view of a Smarter platform's database. */
export interface Source {
  /** tables names the tables there are. */
  tables(): Promise<ReadonlySet<string>>;
  /** columns names the columns of a table. */
  columns(table: string): Promise<ReadonlySet<string>>;
  /** foreignKeysTo are the foreign keys of other tables, of one column each, that point at a table. */
  foreignKeysTo(target: string): Promise<readonly ForeignKey[]>;
  /**
   * rows runs one query that both engines understand and yields its rows in batches, in order: of so many rows, or
   * fewer where these are large.
   * One query at a time: the batches must be read to their end before the next query.
   */
  rows(sql: string, batchSize: number): AsyncIterable<readonly TextRow[]>;
  /** few gives all rows of a query that has few of them, at once. */
  few(sql: string): Promise<readonly TextRow[]>;
  /** named is the SQL that names a table or a column, whatever characters it has. */
  named(identifier: string): string;
  /** exactly is the SQL that groups by a text column's exact characters, whatever its collation. */
  exactly(column: string): string;
  /** hex is the SQL that writes a binary column as hexadecimal digits; NULL where they are too many for the server. */
  hex(column: string): string;
  /** keyId is the literal of a UUID, as the column of key ids holds it. */
  keyId(uuid: string): string;
  /** within is the SQL that tells whether a time is of the last so many seconds, by the database's clock. */
  within(column: string, seconds: number): string;
  /** stamp is the SQL of a whole number that is another one after every change of the row `alias`. Stamps may be added up. */
  stamp(alias: string, columns: ReadonlySet<string>): string;
  /** stampSum is the SQL of the sum of the stamps of all rows of a query, but for multiples of 2 to the 32nd. */
  stampSum(alias: string, columns: ReadonlySet<string>): string;
  /**
   * block is where rows `alias` of a table lie on the disk, where ranges of these are read without an index, which is much
   * cheaper. A row that changes may come to lie elsewhere.
   */
  block(table: string, alias: string): Place | undefined;
  /**
   * writes tell when some tables were written last, as far as the server tells: nothing of a table where it does not. They
   * are texts, which are other ones after a write, `isRecent` where another write might have the same one.
   */
  writes(tables: readonly string[]): Promise<ReadonlyMap<string, LastWrite>>;
  /** indexed names the columns of a table that an index begins with. */
  indexed(table: string): Promise<ReadonlySet<string>>;
  /**
   * isSettled ends the view, and tells whether no export is about to commit there: one that was killed may leave its commit
   * on its way. Asked before a view is begun, it tells whether a row that is not seen then was never written.
   */
  isSettled(): Promise<boolean>;
  /** renew ends the view, and begins one of the present: to read everything, or few rows by their indexes. */
  renew(reads: 'everything' | 'few rows'): Promise<void>;
  close(): Promise<void>;
}
