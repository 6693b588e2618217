import type { Source, TextRow } from '../source.js';
import { EVERYWHERE, Layout, type Bucket, type Slice } from './slices.js';
import type { RowKey, WatchedTable } from './watched-tables.js';

/** Most rows that are looked for by their times at once. More come with the slices. */
const MAX_RECENT = 2_000;
/** Most buckets that are named to be read; if there are more, their slice is read as a whole. */
const MAX_BUCKETS = 200;
/** Rows that the source gives at once. */
const BATCH = 1_000;

/** Sum is what the rows of a slice or a bucket add up to. */
interface Sum {
  rows: number;
  stamps: number;
}

/** Finding is what one look at a table found. */
export interface Finding {
  readonly changed: readonly RowKey[];
  /** How many of them are gone from where they were. */
  readonly gone: number;
  /** keep remembers the rows as they are now: once what changed was taken over, and not before. */
  keep(): void;
}

/**
 * WatchedRows is what is known of the rows of one table: of each a stamp, some 200 bytes. So that few are read when nothing
 * changes, the source adds up the stamps of a slice at a time; only where the sum is another one are those of its buckets
 * added up, and only of these are rows read.
 */
export class WatchedRows {
  readonly table: WatchedTable;
  readonly #layout: Layout;
  readonly #bucketOf: string;
  readonly #planned: number;
  #next = 0;

  private constructor(table: WatchedTable, layout: Layout, bucketOf: string, planned: number) {
    this.table = table;
    this.#layout = layout;
    this.#bucketOf = bucketOf;
    this.#planned = planned;
  }

  /** read reads the stamps of all rows. */
  static async read(source: Source, table: WatchedTable): Promise<WatchedRows> {
    const highest = table.place.isNumber ? `MAX(${table.place.column})` : '0';
    const sql = `SELECT COUNT(*) AS rows_, ${highest} AS highest FROM ${table.from(() => EVERYWHERE)}`;
    const [extent] = await all(source, sql);
    const rows = numberOf(extent, 'rows_');
    const layout = new Layout(table, { rows, highest: numberOf(extent, 'highest') });
    const bucketOf = layout.bucketOf((text) => source.exactly(text));
    const watched = new WatchedRows(table, layout, bucketOf, rows);
    for (const slice of layout.slices)
      slice.buckets = await watched.#readBuckets(source, layout.inSlice(slice));
    return watched;
  }

  /** isOutgrown tells whether there are so many rows by now that other slices would do better. */
  get isOutgrown(): boolean {
    const rows = this.#layout.slices.flatMap(({ buckets }) => [...buckets.values()]);
    return rows.reduce((sum, bucket) => sum + bucket.rows.size, 0) > 2 * this.#planned + 10_000;
  }

  get slices(): number {
    return this.#layout.slices.length;
  }

  /** nextSlice goes round. */
  nextSlice(): Slice {
    const slice = this.#layout.slices[this.#next % this.slices];
    this.#next += 1;
    if (slice === undefined) throw new Error('a table has at least one slice');
    return slice;
  }

  /** recentSql reads rows that were written a moment ago, as far as their times tell. */
  recentSql(name: string): string[] {
    return this.table.recent.map(
      (condition) =>
        `(${this.#rowsSql(`'${name}'`, `${this.table.from(() => EVERYWHERE)} WHERE ${condition}`)} LIMIT ${MAX_RECENT})`,
    );
  }

  /** recent tells which of those are not known yet. */
  recent(rows: readonly TextRow[]): Finding {
    const fresh = new Map<string, { id: string; bucket: string; stamp: number }>();
    for (const row of rows) {
      const { id, bucket, stamp } = placeOf(row);
      if (this.#layout.sliceOf(bucket)?.buckets.get(bucket)?.rows.get(id) !== stamp)
        fresh.set(id, { id, bucket, stamp });
    }
    return {
      changed: this.#keysOf(fresh.keys()),
      gone: 0,
      keep: () => {
        for (const { id, bucket, stamp } of fresh.values()) {
          const slice = this.#layout.sliceOf(bucket);
          const known = slice?.buckets.get(bucket);
          if (known === undefined) slice?.buckets.set(bucket, { rows: new Map([[id, stamp]]) });
          else known.rows.set(id, stamp);
        }
      },
    };
  }

  /** sumSql adds up a slice. */
  sumSql(name: string, slice: Slice): string {
    return `SELECT '${name}' AS name, COUNT(*) AS rows_, SUM(${this.table.stamp}) AS stamps
      FROM ${this.#within(this.#layout.inSlice(slice))}`;
  }

  /** isAs tells whether a slice still adds up to what it did. */
  isAs(slice: Slice, row: TextRow): boolean {
    return isSame(sumOf(slice.buckets.values()), sumIn(row));
  }

  /** look finds out what has changed in a slice. */
  async look(source: Source, slice: Slice): Promise<Finding> {
    const differing = await this.#differing(source, slice);
    const where =
      differing.length > MAX_BUCKETS ? this.#layout.inSlice(slice) : this.#layout.inBuckets(differing);
    const read = differing.length === 0 ? new Map<string, Bucket>() : await this.#readBuckets(source, where);
    const now = new Map(
      differing.map((bucket) => [bucket, read.get(bucket)?.rows ?? new Map<string, number>()]),
    );
    const changed = new Set<string>();
    let gone = 0;
    for (const [bucket, rows] of now) {
      const before = slice.buckets.get(bucket)?.rows ?? new Map<string, number>();
      for (const [id, stamp] of rows) if (before.get(id) !== stamp) changed.add(id);
      for (const id of before.keys()) {
        if (rows.has(id)) continue;
        changed.add(id);
        gone += 1;
      }
    }
    return {
      changed: this.#keysOf(changed),
      gone,
      keep: () => {
        for (const [bucket, rows] of now) {
          if (rows.size === 0) slice.buckets.delete(bucket);
          else slice.buckets.set(bucket, { rows });
        }
      },
    };
  }

  /** #differing are the buckets of a slice that do not add up to what they did. */
  async #differing(source: Source, slice: Slice): Promise<string[]> {
    const sql = `SELECT ${this.#bucketOf} AS bucket, COUNT(*) AS rows_, SUM(${this.table.stamp}) AS stamps
      FROM ${this.#within(this.#layout.inSlice(slice))} GROUP BY 1`;
    const differing = new Set(slice.buckets.keys());
    for (const row of await all(source, sql)) {
      const bucket = row['bucket'] ?? '';
      const known = slice.buckets.get(bucket);
      if (known !== undefined && isSame(sumOf([known]), sumIn(row))) differing.delete(bucket);
      else differing.add(bucket);
    }
    return [...differing];
  }

  async #readBuckets(source: Source, where: (column: string) => string): Promise<Map<string, Bucket>> {
    const buckets = new Map<string, Bucket>();
    for await (const batch of source.rows(this.#rowsSql("''", this.#within(where)), BATCH)) {
      for (const row of batch) {
        const { id, bucket, stamp } = placeOf(row);
        const rows = buckets.get(bucket)?.rows;
        if (rows === undefined) buckets.set(bucket, { rows: new Map([[id, stamp]]) });
        else rows.set(id, stamp);
      }
    }
    return buckets;
  }

  #rowsSql(name: string, from: string): string {
    const { id, stamp } = this.table;
    return `SELECT ${name} AS name, CONCAT('', ${id}) AS id, CONCAT('', ${this.#bucketOf}) AS bucket, ${stamp} AS stamp
      FROM ${from}`;
  }

  /** #within is the SQL of the rows of some places. */
  #within(where: (column: string) => string): string {
    return `${this.table.from(where)} WHERE ${where(this.table.place.column)}`;
  }

  #keysOf(ids: Iterable<string>): RowKey[] {
    return [...ids].flatMap((id) => this.table.keyOf(id) ?? []);
  }
}

/** all reads all rows of a query. */
export async function all(source: Source, sql: string): Promise<TextRow[]> {
  const rows: TextRow[] = [];
  for await (const batch of source.rows(sql, BATCH)) rows.push(...batch);
  return rows;
}

function placeOf(row: TextRow): { id: string; bucket: string; stamp: number } {
  return { id: row['id'] ?? '', bucket: row['bucket'] ?? '', stamp: numberOf(row, 'stamp') };
}

function sumOf(buckets: Iterable<Bucket>): Sum {
  const sum = { rows: 0, stamps: 0 };
  for (const { rows } of buckets) {
    sum.rows += rows.size;
    for (const stamp of rows.values()) sum.stamps += stamp;
  }
  return sum;
}

function sumIn(row: TextRow): Sum {
  return { rows: numberOf(row, 'rows_'), stamps: numberOf(row, 'stamps') };
}

function isSame(a: Sum, b: Sum): boolean {
  return a.rows === b.rows && a.stamps === b.stamps;
}

function numberOf(row: TextRow | undefined, column: string): number {
  return Number(row?.[column] ?? 0);
}
