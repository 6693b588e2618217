import { isStorable, storableText, timeOf, uuidOf, type Finding } from './normalise.js';
import { SmarterImportError } from './smarter-import-error.js';
import type { Source, TextRow } from './source.js';

export type FieldValue = string | boolean | null | readonly string[] | Readonly<Record<string, string>>;

/**
 * Fields are what an import takes of a source row, normalised, under the names of Keyward's columns.
 * Numbers of other rows (`user_id`, ...) are the source's. Times are as `timeOf` writes them.
 */
export type Fields = Readonly<Record<string, FieldValue>>;

/** textField is a field that holds text; empty where it is NULL. */
export function textField(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === 'string' ? value : '';
}

/** SourceRow is one row to take over, or to leave out. */
export interface SourceRow {
  /** The row's number in the source, or a token's key id. */
  readonly key: string;
  /** What the report calls it. */
  readonly label: string;
  readonly fields: Fields;
  /** Why the row cannot be taken, if so. */
  readonly leftOut: string | undefined;
  readonly findings: readonly { readonly sort: string; readonly what: string }[];
}

/** RowReader reads the columns of one source row and gathers what is worth telling about it. */
export class RowReader {
  readonly #table: string;
  readonly #row: TextRow;
  readonly #findings: { sort: string; what: string }[] = [];
  #leftOut: string | undefined;

  constructor(table: string, row: TextRow) {
    this.#table = table;
    this.#row = row;
  }

  readonly finding: Finding = (sort, what) => {
    this.#findings.push({ sort, what });
  };

  /** note is for a finding of the row as a whole. */
  note(sort: string, what: string): void {
    this.#findings.push({ sort, what });
  }

  /** leaveOut keeps the first reason. */
  leaveOut(why: string): void {
    this.#leftOut ??= why;
  }

  /** raw is a column as the source has it. Throws where there is no such column: another release of Smarter. */
  raw(column: string): string | null {
    const value = this.#row[column];
    if (value === undefined)
      throw new SmarterImportError(`The source has no column ${this.#table}.${column}.`);
    return value;
  }

  /** text is a column that PostgreSQL can keep; NULL is the empty text. */
  text(column: string): string {
    return storableText(column, this.raw(column) ?? '', this.finding);
  }

  /** identity is a text that rows are told apart by: one that cannot be kept as it is leaves the row out. */
  identity(column: string): string {
    const value = this.raw(column) ?? '';
    if (value === '') this.leaveOut(`it has no ${column}`);
    if (!isStorable(value)) this.leaveOut(`its ${column} has characters that PostgreSQL cannot store`);
    return storableText(column, value, () => undefined);
  }

  /** name falls back to another text where it is empty, which Keyward does not allow. */
  name(fallback: string): string {
    const name = this.text('name');
    if (name !== '') return name;
    this.note('name-empty', 'it has no name: one was made');
    return fallback;
  }

  flag(column: string): boolean {
    return this.raw(column) === 't';
  }

  time(column: string): string | null {
    return timeOf(this.raw(column));
  }

  /** row is what was read; call it last. */
  row(key: string, label: string, fields: Fields): SourceRow {
    return { key, label, fields, leftOut: this.#leftOut, findings: this.#findings };
  }
}

/** ALL is SQL that is true of every row. */
const ALL = '1 = 1';
const NONE = '1 = 0';

/** numbersIn is the SQL that tells whether a column is one of these whole numbers; it is true if none are given. */
export function numbersIn(column: string, keys: ReadonlySet<string> | undefined): string {
  if (keys === undefined) return ALL;
  const numbers = [...keys].filter((key) => /^\d{1,19}$/.test(key));
  return numbers.length === 0 ? NONE : `${column} IN (${numbers.join()})`;
}

/** keyIdsIn does the same with key ids. */
export function keyIdsIn(
  source: Pick<Source, 'keyId'>,
  column: string,
  keys: ReadonlySet<string> | undefined,
): string {
  if (keys === undefined) return ALL;
  const ids = [...keys].flatMap((key) => uuidOf(key) ?? []).map((uuid) => source.keyId(uuid));
  return ids.length === 0 ? NONE : `${column} IN (${ids.join()})`;
}
