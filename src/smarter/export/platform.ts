import type { TextRow } from '../source.js';

/** PlatformValue is what is bound to a `?` of a statement. A list stands for as many `?`. */
export type PlatformValue = string | boolean | Buffer | null | readonly string[];

/** Reference is a column of another table that points at rows of the platform. */
export interface Reference {
  readonly table: string;
  readonly column: string;
}

/** Platform is a Smarter platform's database that can be written. */
export interface Platform {
  /** tables names the tables there are. */
  tables(): Promise<ReadonlySet<string>>;
  /** run runs work in one transaction, and rolls it back if it fails, or if nothing is to be kept. */
  run<T>(work: (trx: PlatformTransaction) => Promise<T>, keep: boolean): Promise<T>;
  /** references finds, by the database's own catalogue, the foreign keys that point at a table. The names are quoted. */
  references(table: string): Promise<readonly Reference[]>;
  close(): Promise<void>;
}

/** PlatformTransaction sends statements that both engines understand. Values are bound as `?`. */
export interface PlatformTransaction {
  query(sql: string, values?: readonly PlatformValue[]): Promise<readonly TextRow[]>;
  /** time writes a time as the engine reads it. */
  time(text: string | null): string | null;
  /** keyId writes a UUID as the engine's column holds it. */
  keyId(uuid: string): string;
  /** hex is the SQL that writes a binary column as hexadecimal digits. */
  hex(column: string): string;
}

/** spread gives each member of a list a `?` of its own. */
export function spread(
  sql: string,
  values: readonly PlatformValue[],
): { sql: string; values: (string | boolean | Buffer | null)[] } {
  let index = 0;
  const flat: (string | boolean | Buffer | null)[] = [];
  const written = sql.replaceAll('?', () => {
    const value = values[index++];
    if (value === undefined) throw new Error('a statement has fewer values than places for them');
    const members = isList(value) ? value : [value];
    flat.push(...members);
    return members.map(() => '?').join();
  });
  return { sql: written, values: flat };
}

function isList(value: PlatformValue): value is readonly string[] {
  return Array.isArray(value);
}
