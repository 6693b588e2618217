import type { Place } from '../source.js';
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
/** Most rows of a bucket whose place begins with digits. */
const BUCKET_ROWS = 64;
/** Slices into which a table is cut that has more rows than this. */
const FEWEST_SLICES = 6;
const FEW_ROWS = 2_000;

const HEX_PLACES = 4;

/** Layout is how a table is cut into slices and buckets. */
export class Layout {
  readonly slices: readonly Slice[];
  readonly #place: Place;
  /** Digits of a place that name its bucket. */
  readonly #digits: number;

  constructor({ place, slower }: Pick<WatchedTable, 'place' | 'slower'>, { rows, highest }: Extent) {
    this.#place = place;
    this.#digits = digitsFor(rows);
    const count = rows <= FEW_ROWS ? 1 : slower * Math.max(FEWEST_SLICES, Math.ceil(rows / SLICE_ROWS));
    const bounds = Array.from({ length: count - 1 }, (_, index) => this.#bound((index + 1) / count, highest));
    this.slices = [undefined, ...bounds].map((from, index) => {
      return { from, to: bounds[index], buckets: new Map<string, Bucket>() };
    });
  }

  /** bucketOf is the SQL that names the bucket of a row. */
  bucketOf(exactly: (text: string) => string): string {
    const { column, numbers } = this.#place;
    if (numbers !== undefined) return `FLOOR(${numbers.of} / ${numbers.bucket})`;
    return exactly(`LEFT(${column}, ${this.#digits})`);
  }

  /** inSlice is the SQL that tells whether a place is of a slice. */
  inSlice({ from, to }: Pick<Slice, 'from' | 'to'>): string {
    return this.#between(from, to);
  }

  /** inBuckets are the SQL that tells whether a place is of a bucket, for each of some. */
  inBuckets(buckets: readonly string[]): string[] {
    const { numbers } = this.#place;
    return buckets.map((bucket) => {
      if (numbers === undefined) return this.#between(bucket, `${bucket}g`);
      const first = Number(bucket) * numbers.bucket;
      return this.#between(String(first), String(first + numbers.bucket));
    });
  }

  /** sliceOf finds the slice of a bucket; undefined for places that are no hexadecimal digits. */
  sliceOf(bucket: string): Slice | undefined {
    const { numbers } = this.#place;
    if (numbers === undefined && !/^[0-9a-f]+$/.test(bucket)) return undefined;
    const isBefore = (bound: string): boolean =>
      numbers === undefined ? bucket < bound : (Number(bucket) + 1) * numbers.bucket <= Number(bound);
    return this.slices.find(({ to }) => to === undefined || isBefore(to));
  }

  #bound(share: number, highest: number): string {
    const { numbers } = this.#place;
    if (numbers !== undefined) return String(Math.ceil((share * highest) / numbers.bucket) * numbers.bucket);
    const places = 16 ** this.#digits;
    return Math.floor(share * places)
      .toString(16)
      .padStart(this.#digits, '0');
  }

  #between(from: string | undefined, to: string | undefined): string {
    const { column, everywhere } = this.#place;
    const literal = (bound: string): string => this.#place.literal(bound);
    const conditions = [
      ...(from === undefined ? [] : [`${column} >= ${literal(from)}`]),
      ...(to === undefined ? [] : [`${column} < ${literal(to)}`]),
    ];
    return conditions.length === 0 ? everywhere : conditions.join(' AND ');
  }
}

function digitsFor(rows: number): number {
  let digits = 1;
  while (digits < HEX_PLACES && rows / 16 ** digits > BUCKET_ROWS) digits += 1;
  return digits;
}
