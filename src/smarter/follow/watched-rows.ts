import type { LastWrite, Source, TextRow } from '../source.js';
import { Layout, type Bucket, type Slice } from './slices.js';
import type { RowKey, WatchedTable } from './watched-tables.js';

/** Most rows that are looked for by their times at once. More come with the slices. */
const MAX_RECENT = 2_000;
/** Most buckets that are read each by itself; if there are more, their slice is read as a whole. */
const MAX_BUCKETS = 50;
/** Rows that the source gives at once. */
const BATCH = 1_000;
/** How much longer a round takes while the server says that nothing was written: in case that it does not know. */
const AT_REST = 8;
/** Sums are known but for multiples of this. */
const MODULUS = 2 ** 32;

/** Sum is what the rows of a slice or a bucket add up to. */
interface Sum {
  rows: number;
  stamps: number;
}

/** Finding is what one look at a table found. */
export interface Finding {
  readonly changed: readonly RowKey[];
  readonly ids: ReadonlySet<string>;
  /** How many of them are gone from where they were. */
  readonly gone: number;
  /** keep remembers the rows as they are now: once what changed was taken over, and not before. */
  keep(): void;
}

/**
 * WatchedRows is what is known of the rows of one table: of each a stamp, some 250 bytes. So that few are read when nothing
 * changes, the source adds up the stamps of a slice at a time; only where the sum is another one are those of its buckets
 * added up, and only of these are rows read.
 */
export class WatchedRows {
  readonly table: WatchedTable;
  readonly #layout: Layout;
  readonly #bucketOf: string;
  readonly #planned: number;
  /** The bucket of each row, by its id. */
  readonly #places = new Map<string, Bucket>();
  #next = 0;
  #lastWrite: string | undefined;
  #due = 0;
  #rests = 0;

  private constructor(table: WatchedTable, layout: Layout, bucketOf: string, planned: number) {
    this.table = table;
    this.#layout = layout;
    this.#bucketOf = bucketOf;
    this.#planned = planned;
  }

  /** read reads the stamps of all rows. */
  static async read(source: Source, table: WatchedTable): Promise<WatchedRows> {
    const highest = table.place.numbers?.highest ?? '0';
    const sql = `SELECT COUNT(*) AS rows_, ${highest} AS highest FROM ${table.from}`;
    const [extent] = await source.few(sql);
    const rows = numberOf(extent, 'rows_');
    const layout = new Layout(table, { rows, highest: numberOf(extent, 'highest') });
    const bucketOf = layout.bucketOf((text) => source.exactly(text));
    const watched = new WatchedRows(table, layout, bucketOf, rows);
    for (const slice of layout.slices) {
      watched.#replace(slice, await watched.#readBuckets(source, [layout.inSlice(slice)]));
    }
    return watched;
  }

  /** isOutgrown tells whether there are so many rows by now that other slices would do better. */
  get isOutgrown(): boolean {
    return this.#places.size > 2 * this.#planned + 10_000;
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

  /** due are the slices to look at next: all at once after a write that ends a rest, else one; seldom any in a rest. */
  due(writes: ReadonlyMap<string, LastWrite>): Slice[] {
    const count = this.#countDue(writes);
    return Array.from({ length: count }, () => this.nextSlice());
  }

  #countDue(writes: ReadonlyMap<string, LastWrite>): number {
    const known = this.table.tables.map((table) => writes.get(table));
    const last = known.map((write) => write?.at).join();
    if (known.includes(undefined)) return 1;
    const isAtRest = this.#due === 0;
    // The slice of now is looked at again: what was written may be later than the view.
    if (last !== this.#lastWrite) this.#due = this.slices + 1;
    this.#lastWrite = known.some((write) => write?.isRecent) ? undefined : last;
    this.#rests += 1;
    if (this.#due === 0) return this.#rests % AT_REST > 0 ? 0 : 1;
    if (isAtRest) return Math.ceil(this.slices / this.table.slower);
    this.#due -= 1;
    return 1;
  }

  /** recentSql reads rows that were written a moment ago, as far as their times tell. */
  recentSql(name: string): string[] {
    return this.table.recent.map(
      (condition) => `(${this.#rowsSql(`'${name}'`, condition)} LIMIT ${MAX_RECENT})`,
    );
  }

  /** recent tells which of those are not known yet. */
  recent(rows: readonly TextRow[]): Finding {
    const fresh = new Map<string, { id: string; bucket: string; stamp: number }>();
    for (const row of rows) {
      const { id, bucket, stamp } = placeOf(row);
      if (this.#stampOf(id) !== stamp) fresh.set(id, { id, bucket, stamp });
    }
    return {
      changed: this.#keysOf(fresh.keys()),
      ids: new Set(fresh.keys()),
      gone: 0,
      keep: () => {
        for (const { id, bucket, stamp } of fresh.values()) {
          const slice = this.#layout.sliceOf(bucket);
          if (slice === undefined) continue;
          const known = slice.buckets.get(bucket) ?? { rows: new Map<string, number>() };
          slice.buckets.set(bucket, known);
          this.#put(id, known, stamp);
        }
      },
    };
  }

  /** sumSql adds up a slice. */
  sumSql(name: string, slice: Slice): string {
    return `SELECT '${name}' AS name, COUNT(*) AS rows_, ${this.table.stampSum} AS stamps
      FROM ${this.table.from} WHERE ${this.#layout.inSlice(slice)}`;
  }

  /** isAs tells whether a slice still adds up to what it did. */
  isAs(slice: Slice, row: TextRow): boolean {
    return isSame(sumOf(slice.buckets.values()), sumIn(row));
  }

  /** look finds out what has changed in a slice. Rows that are known to lie elsewhere by now are not gone. */
  async look(source: Source, slice: Slice, moved: ReadonlySet<string>): Promise<Finding> {
    const differing = await this.#differing(source, slice);
    const where =
      differing.length > MAX_BUCKETS ? [this.#layout.inSlice(slice)] : this.#layout.inBuckets(differing);
    const read = differing.length === 0 ? new Map<string, Bucket>() : await this.#readBuckets(source, where);
    const now = new Map(
      differing.map((name) => [name, read.get(name) ?? { rows: new Map<string, number>() }]),
    );
    const there = new Map([...now.values()].flatMap(({ rows }) => [...rows]));
    const changed = new Set<string>();
    let gone = 0;
    for (const [id, stamp] of there) if (this.#stampOf(id) !== stamp) changed.add(id);
    for (const name of differing) {
      for (const id of slice.buckets.get(name)?.rows.keys() ?? []) {
        if (there.has(id) || moved.has(id)) continue;
        changed.add(id);
        gone += 1;
      }
    }
    return {
      changed: this.#keysOf(changed),
      ids: changed,
      gone,
      keep: () => {
        this.#replace(slice, now);
      },
    };
  }

  /** #differing are the buckets of a slice that do not add up to what they did. */
  async #differing(source: Source, slice: Slice): Promise<string[]> {
    const sql = `SELECT ${this.#bucketOf} AS bucket, COUNT(*) AS rows_, ${this.table.stampSum} AS stamps
      FROM ${this.table.from} WHERE ${this.#layout.inSlice(slice)} GROUP BY 1`;
    const differing = new Set(
      [...slice.buckets].flatMap(([name, { rows }]) => (rows.size > 0 ? [name] : [])),
    );
    for (const row of await source.few(sql)) {
      const bucket = row['bucket'] ?? '';
      const known = slice.buckets.get(bucket);
      if (known !== undefined && isSame(sumOf([known]), sumIn(row))) differing.delete(bucket);
      else differing.add(bucket);
    }
    return [...differing];
  }

  /** #readBuckets reads the rows of some ranges. */
  async #readBuckets(source: Source, ranges: readonly string[]): Promise<Map<string, Bucket>> {
    const buckets = new Map<string, Bucket>();
    // Not as one condition: PostgreSQL does not read several ranges of blocks at once, but the whole table.
    const sql = ranges.map((where) => this.#rowsSql("''", where)).join(' UNION ALL ');
    for await (const batch of source.rows(sql, BATCH)) {
      for (const row of batch) {
        const { id, bucket, stamp } = placeOf(row);
        const rows = buckets.get(bucket)?.rows;
        if (rows === undefined) buckets.set(bucket, { rows: new Map([[id, stamp]]) });
        else rows.set(id, stamp);
      }
    }
    return buckets;
  }

  #rowsSql(name: string, where: string): string {
    const { id, stamp, from, joined } = this.table;
    return `SELECT ${name} AS name, CONCAT('', ${id}) AS id, CONCAT('', ${this.#bucketOf}) AS bucket, ${stamp} AS stamp
      FROM ${from} ${joined} WHERE ${where}`;
  }

  #stampOf(id: string): number | undefined {
    return this.#places.get(id)?.rows.get(id);
  }

  #put(id: string, bucket: Bucket, stamp: number): void {
    const before = this.#places.get(id);
    if (before !== bucket) before?.rows.delete(id);
    bucket.rows.set(id, stamp);
    this.#places.set(id, bucket);
  }

  /** #replace remembers buckets of a slice as they are now. */
  #replace(slice: Slice, now: ReadonlyMap<string, Bucket>): void {
    for (const name of now.keys()) {
      const before = slice.buckets.get(name);
      for (const id of before?.rows.keys() ?? [])
        if (this.#places.get(id) === before) this.#places.delete(id);
    }
    for (const [name, bucket] of now) {
      slice.buckets.set(name, bucket);
      for (const [id, stamp] of bucket.rows) this.#put(id, bucket, stamp);
      if (bucket.rows.size === 0) slice.buckets.delete(name);
    }
  }

  #keysOf(ids: Iterable<string>): RowKey[] {
    return [...ids].flatMap((id) => this.table.keyOf(id) ?? []);
  }
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
  return a.rows === b.rows && (a.stamps - b.stamps) % MODULUS === 0;
}

function numberOf(row: TextRow | undefined, column: string): number {
  return Number(row?.[column] ?? 0);
}
