import type { Knex } from 'knex';
import { ROW } from './conflicts.js';
import type { Kind } from './report.js';
import type { SeenRow } from './source-keys.js';
import { query } from './target-store.js';
import { TARGET_TABLES } from './target-tables.js';

/** SeenRows holds, for the time of an import, which rows the source has: all of them, before anything is written. */
export class SeenRows {
  readonly #holder: Knex.Transaction;

  private constructor(holder: Knex.Transaction) {
    this.#holder = holder;
  }

  /** in makes an empty list that ends with the transaction. */
  static async in(holder: Knex.Transaction): Promise<SeenRows> {
    await holder.raw(
      `CREATE TEMPORARY TABLE import_seen (kind text NOT NULL, source_key text NOT NULL, fields jsonb NOT NULL)
       ON COMMIT DROP`,
    );
    return new SeenRows(holder);
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

  async count(kind: Kind): Promise<number> {
    const sql = 'SELECT count(*)::integer AS count FROM import_seen WHERE kind = ?';
    const [row] = await query<{ count: number }>(this.#holder, sql, [kind]);
    return row?.count ?? 0;
  }

  /**
   * vanished are the imported rows that Keyward has and the source no longer, in the order of their keys, without those
   * about which there is a conflict or that were retired. `records` counts all imported rows that Keyward has.
   */
  async vanished(kind: Kind): Promise<{ readonly keys: readonly string[]; readonly records: number }> {
    const { table, present } = TARGET_TABLES[kind];
    const [found] = await query<{ keys: string[] | null; records: number }>(
      this.#holder,
      `SELECT count(*)::integer AS records,
         array_agg(r.source_key ORDER BY r.source_key) FILTER (WHERE s.source_key IS NULL) AS keys
       FROM import_records r
       JOIN ${table} t ON t.id = r.target_id AND ${present}
       LEFT JOIN (SELECT DISTINCT source_key FROM import_seen WHERE kind = ?) s USING (source_key)
       WHERE r.kind = ? AND r.retired_at IS NULL AND r.gone_at IS NULL AND NOT EXISTS (
         SELECT FROM import_conflicts c
         WHERE c.kind = r.kind AND c.source_key = r.source_key AND c.field = '${ROW}')`,
      [kind, kind],
    );
    return { keys: found?.keys ?? [], records: found?.records ?? 0 };
  }

  /** unmade are rows that an export was to make in the source, and that it does not have. */
  async unmade(kind: Kind): Promise<string[]> {
    const rows = await query<{ source_key: string }>(
      this.#holder,
      `SELECT r.source_key FROM import_records r
       WHERE r.kind = ? AND r.announced IS NOT NULL AND r.fields = '{}'
         AND NOT EXISTS (SELECT FROM import_seen s WHERE s.kind = r.kind AND s.source_key = r.source_key)`,
      [kind],
    );
    return rows.map(({ source_key: key }) => key);
  }

  /** returned are rows that were missed once, about which there is a conflict, and that the source has again. */
  async returned(kind: Kind): Promise<string[]> {
    const rows = await query<{ source_key: string }>(
      this.#holder,
      `SELECT c.source_key FROM import_conflicts c JOIN import_seen s USING (kind, source_key)
       WHERE c.kind = ? AND c.field = '${ROW}'`,
      [kind],
    );
    return rows.map(({ source_key: key }) => key);
  }

  /** inTheWay are rows that were renamed in the source while another row of it got the name that they had. */
  async inTheWay(kind: Kind): Promise<SeenRow[]> {
    const { table, present } = TARGET_TABLES[kind];
    return query<SeenRow>(
      this.#holder,
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
}
