import type { Knex } from 'knex';
import { ROW } from './conflicts.js';
import type { VanishedKeys } from './deletions.js';
import type { Kind } from './report.js';
import type { SeenRow } from './source-keys.js';
import { query } from './target-store.js';
import { TARGET_TABLES } from './target-tables.js';

/** Subset names rows of the source by their keys. */
export type Subset = ReadonlyMap<Kind, ReadonlySet<string>>;

/** UNMADE is true of a record `r` of a row that an export was about to make in the source, if nobody knows yet that it did. */
const UNMADE = `r.announced IS NOT NULL AND r.fields = '{}'`;

/**
 * SeenRows holds, for the time of an import, which rows the source has, before anything is written: all of them, or those
 * of a subset.
 */
export class SeenRows {
  readonly #holder: Knex.Transaction;
  /** What makes `import_seen` of a subset; all rows are in a table of that name. */
  readonly #with: { readonly sql: string; readonly bindings: readonly string[] };
  readonly #subset: Subset | undefined;

  private constructor(
    holder: Knex.Transaction,
    seen: { readonly sql: string; readonly bindings: readonly string[] } = { sql: '', bindings: [] },
    subset?: Subset,
  ) {
    this.#holder = holder;
    this.#with = seen;
    this.#subset = subset;
  }

  /** in makes an empty list that ends with the transaction. */
  static async in(holder: Knex.Transaction): Promise<SeenRows> {
    await holder.raw(
      `CREATE TEMPORARY TABLE import_seen (kind text NOT NULL, source_key text NOT NULL, fields jsonb NOT NULL)
       ON COMMIT DROP`,
    );
    return new SeenRows(holder);
  }

  /** of is for the rows of a subset that the source has. */
  static of(holder: Knex.Transaction, subset: Subset, rows: ReadonlyMap<Kind, readonly SeenRow[]>): SeenRows {
    const sql = `WITH import_seen AS MATERIALIZED (
      SELECT * FROM json_to_recordset(?::json) AS s (kind text, source_key text, fields jsonb)) `;
    const flat = [...rows].flatMap(([kind, some]) =>
      some.map(({ key, fields }) => ({ kind, source_key: key, fields })),
    );
    return new SeenRows(holder, { sql, bindings: [JSON.stringify(flat)] }, subset);
  }

  async add(kind: Kind, rows: readonly SeenRow[]): Promise<void> {
    const sql = `INSERT INTO import_seen SELECT ?, r.key, r.fields
      FROM json_to_recordset(?::json) AS r (key text, fields jsonb)`;
    await this.#holder.raw(sql, [kind, JSON.stringify(rows)]);
  }

  /** complete is for when all are there. */
  async complete(): Promise<void> {
    await this.#holder.raw('ANALYZE import_seen');
  }

  async #count(kind: Kind): Promise<number> {
    const [row] = await this.#query<{ count: number }>(
      'SELECT count(*)::integer AS count FROM import_seen WHERE kind = ?',
      [kind],
    );
    return row?.count ?? 0;
  }

  /**
   * vanished are the imported rows that Keyward has and the source no longer, in the order of their keys, without those
   * about which there is a conflict, that were retired or that an export was only to make. `records` counts all imported rows that Keyward has, and `seen`
   * those of the source; of a subset of which none is gone, neither is counted.
   */
  async vanished(kind: Kind): Promise<Omit<VanishedKeys, 'kind'>> {
    const { table, present } = TARGET_TABLES[kind];
    const imported = `FROM import_records r JOIN ${table} t ON t.id = r.target_id AND ${present}
       WHERE r.kind = ? AND r.retired_at IS NULL AND r.gone_at IS NULL AND NOT (${UNMADE}) AND NOT EXISTS (
         SELECT FROM import_conflicts c
         WHERE c.kind = r.kind AND c.source_key = r.source_key AND c.field = '${ROW}')`;
    const keys = await this.#missing(kind, imported);
    if (this.#subset !== undefined && keys.length === 0) return { keys, records: 0, seen: 0 };
    const sql = `SELECT count(*)::integer AS records ${imported}`;
    const [counted] = await query<{ records: number }>(this.#holder, sql, [kind]);
    const records = counted?.records ?? 0;
    const seen = this.#subset === undefined ? await this.#count(kind) : records - keys.length;
    return { keys, records, seen };
  }

  /** unmade are rows that an export was to make in the source, and that it does not have. */
  async unmade(kind: Kind): Promise<string[]> {
    return this.#missing(kind, `FROM import_records r WHERE r.kind = ? AND ${UNMADE}`);
  }

  /** returned are rows that were missed once, about which there is a conflict, and that the source has again. */
  async returned(kind: Kind): Promise<string[]> {
    const rows = await this.#query<{ source_key: string }>(
      `SELECT c.source_key FROM import_conflicts c JOIN import_seen s USING (kind, source_key)
       WHERE c.kind = ? AND c.field = '${ROW}'`,
      [kind],
    );
    return rows.map(({ source_key: key }) => key);
  }

  /** inTheWay are rows that were renamed in the source while another row of it got the name that they had. */
  async inTheWay(kind: Kind): Promise<SeenRow[]> {
    const { table, present } = TARGET_TABLES[kind];
    return this.#query<SeenRow>(
      `SELECT s.source_key AS key, s.fields
       FROM import_seen s JOIN import_records r USING (kind, source_key)
       JOIN ${table} t ON t.id = r.target_id AND ${present}
       CROSS JOIN LATERAL (
         SELECT jsonb_object_agg(field, r.fields -> field) AS fields FROM jsonb_object_keys(s.fields) AS field) had
       WHERE s.kind = ? AND had.fields <> s.fields AND r.announced IS NULL
         AND EXISTS (SELECT FROM import_seen o WHERE o.kind = s.kind AND o.fields = had.fields)
       ORDER BY length(s.source_key), s.source_key`,
      [kind],
    );
  }

  /** #missing are those of some records, of all rows or of the subset, whose rows the source does not have. */
  async #missing(kind: Kind, records: string): Promise<string[]> {
    const among = this.#subset === undefined ? '' : 'AND r.source_key = ANY (?::text[])';
    const rows = await this.#query<{ key: string }>(
      `SELECT r.source_key AS key ${records} ${among}
         AND NOT EXISTS (SELECT FROM import_seen s WHERE s.kind = r.kind AND s.source_key = r.source_key)
       ORDER BY r.source_key`,
      [kind, ...(this.#subset === undefined ? [] : [[...(this.#subset.get(kind) ?? [])]])],
    );
    return rows.map(({ key }) => key);
  }

  #query<Row>(sql: string, bindings: readonly Knex.RawBinding[]): Promise<Row[]> {
    return query<Row>(this.#holder, `${this.#with.sql}${sql}`, [...this.#with.bindings, ...bindings]);
  }
}
