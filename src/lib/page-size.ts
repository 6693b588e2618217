import { answersTooLarge } from './errors.js';

/** How many resources are read together: the largest take most of a megabyte each. */
export const PIECE = 20;

/**
 * Most bytes that the items of a page take, if there are two or more, and the answers to a batch: clients take 4 MiB in a
 * message by default.
 */
export const MAX_PAGE = 3 * 1024 * 1024;

/** What a message holds besides the texts of its row: ids, times, and texts made of those and of its name. */
const BESIDES = 512;
/** What a text or a list of such takes besides its own bytes. */
const FRAME = 8;

/** Rows are the first ones of a list, as many as make a page. */
export interface Rows<Row> {
  readonly rows: Row[];
  /** Whether the list goes on after them. */
  readonly hasMore: boolean;
}

/**
 * firstPage reads rows in pieces until there are `size`, or one more would make the page too large, or there are no
 * more. `next` gives the following rows, as many as it is asked for unless there are fewer.
 */
export async function firstPage<Row extends object>(
  size: number,
  next: (count: number) => Promise<readonly Row[]>,
): Promise<Rows<Row>> {
  const rows: Row[] = [];
  let bytes = 0;
  for (;;) {
    const count = Math.min(PIECE, size + 1 - rows.length);
    const piece = await next(count);
    for (const row of piece) {
      bytes += messageBytes(row);
      if (rows.length === size || (rows.length > 0 && bytes > MAX_PAGE)) return { rows, hasMore: true };
      rows.push(row);
    }
    if (piece.length < count) return { rows, hasMore: false };
  }
}

/** fitting is how many answers, from the first on, fit into a message, where each takes so many bytes. */
export function fitting(answers: readonly number[]): number {
  let bytes = 0;
  const tooMany = answers.findIndex((size) => (bytes += FRAME + size) > MAX_PAGE);
  return tooMany === -1 ? answers.length : tooMany;
}

/** requireFit refuses a batch whose answers do not fit into a message: ANSWERS_TOO_LARGE. */
export function requireFit(answers: readonly number[]): void {
  const count = fitting(answers);
  if (count < answers.length) throw answersTooLarge(count);
}

/** messageBytes is at least what a row takes in a message that holds each of its texts once. */
export function messageBytes(row: object): number {
  return Object.values(row).reduce((sum: number, value) => sum + bytesOf(value), BESIDES);
}

/** bytesOf is what a column takes: a text, bytes, perhaps as hex digits, several texts, or JSON. Others are small. */
function bytesOf(value: unknown): number {
  if (typeof value === 'string') return FRAME + Buffer.byteLength(value);
  if (value instanceof Uint8Array) return FRAME + 2 * value.length;
  if (typeof value !== 'object' || value === null) return FRAME;
  if (Array.isArray(value)) return value.reduce((sum: number, each) => sum + bytesOf(each), FRAME);
  // A map of texts; where there is something else in it, that is told as JSON.
  return Object.entries(value).reduce(
    (sum, [key, each]) =>
      sum + bytesOf(key) + bytesOf(typeof each === 'string' ? each : JSON.stringify(each)),
    FRAME,
  );
}
