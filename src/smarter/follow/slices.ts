import type { WatchedTable } from './watched-tables.js';

/** Bucket is a few rows that are near each other. */
export interface Bucket {
  /** Stamps, by the ids of rows. */
  readonly rows: Map<string, number>;
}

/** Slice is a part of a table: the rows from one place on, up to another one, and what they were last. */
export interface Slice {
  readonly from: string | undefined;
  readonly to: string | undefined;
  buckets: Map<string, Bucket>;
}

/** Extent is how many rows a table has, and its highest number. */
export interface Extent {
  readonly rows: number;
  readonly highest: number;
}

/** Most rows of a slice. */
const SLICE_ROWS = 20_000;
/** Rows of a bucket, of numbered tables exactly and of others at most. */
const BUCKET_ROWS = 64;
/** Slices into which a table is cut that has more rows than this. */
const FEWEST_SLICES = 6;
const FEW_ROWS = 2_000;

const HEX_PLACES = 4;

/** EVERYWHERE is the SQL that is true of all places. */
export const EVERYWHERE = '1 = 1';

/** Layout is how a table is cut into slices and buckets. */
export class Layout {
  readonly slices: readonly Slice[];
  readonly #isNumber: boolean;
  readonly #column: string;
  /** Digits of a place that name its bucket. */
  readonly #digits: number;

  constructor({ place, slower }: Pick<WatchedTable, 'place' | 'slower'>, { rows, highest }: Extent) {
    this.#isNumber = place.isNumber;
    this.#column = place.column;
    this.#digits = digitsFor(rows);
    const count = rows <= FEW_ROWS ? 1 : slower * Math.max(FEWEST_SLICES, Math.ceil(rows / SLICE_ROWS));
    const bounds = Array.from({ length: count - 1 }, (_, index) => this.#bound((index + 1) / count, highest));
    this.slices = [undefined, ...bounds].map((from, index) => {
      return { from, to: bounds[index], buckets: new Map<string, Bucket>() };
    });
  }

  /** bucketOf is the SQL that names the bucket of a row. */
  bucketOf(exactly: (text: string) => string): string {
    if (this.#isNumber) return `FLOOR(${this.#column} / ${BUCKET_ROWS})`;
    return exactly(`LEFT(${this.#column}, ${this.#digits})`);
  }

  /** inSlice is the SQL that tells whether a place is of a slice. */
  inSlice({ from, to }: Pick<Slice, 'from' | 'to'>): (column: string) => string {
    return (column) => this.#between(column, from, to);
  }

  /** inBuckets is the SQL that tells whether a place is of some buckets. */
  inBuckets(buckets: readonly string[]): (column: string) => string {
    const bounds = buckets.map((bucket): [string, string] => {
      if (!this.#isNumber) return [bucket, `${bucket}g`];
      const first = Number(bucket) * BUCKET_ROWS;
      return [String(first), String(first + BUCKET_ROWS)];
    });
    return (column) => `(${bounds.map(([from, to]) => this.#between(column, from, to)).join(' OR ')})`;
  }

  /** sliceOf finds the slice of a bucket; undefined for places that are no hexadecimal digits. */
  sliceOf(bucket: string): Slice | undefined {
    if (!this.#isNumber && !/^[0-9a-f]+$/.test(bucket)) return undefined;
    const isBefore = (bound: string): boolean =>
      this.#isNumber ? (Number(bucket) + 1) * BUCKET_ROWS <= Number(bound) : bucket < bound;
    return this.slices.find(({ to }) => to === undefined || isBefore(to));
  }

  #bound(share: number, highest: number): string {
    if (this.#isNumber) return String(Math.ceil((share * highest) / BUCKET_ROWS) * BUCKET_ROWS);
    const places = 16 ** this.#digits;
    return Math.floor(share * places)
      .toString(16)
      .padStart(this.#digits, '0');
  }

  #between(column: string, from: string | undefined, to: string | undefined): string {
    const value = (bound: string): string => (this.#isNumber ? bound : `'${bound}'`);
    const conditions = [
      ...(from === undefined ? [] : [`${column} >= ${value(from)}`]),
      ...(to === undefined ? [] : [`${column} < ${value(to)}`]),
    ];
    return conditions.length === 0 ? EVERYWHERE : conditions.join(' AND ');
  }
}

function digitsFor(rows: number): number {
  let digits = 1;
  while (digits < HEX_PLACES && rows / 16 ** digits > BUCKET_ROWS) digits += 1;
  return digits;
}
