import type { TextRow } from './source.js';

/** PIECE is how many rows are asked for at once: there may be megabytes in each. */
export const PIECE = 50;
/** A batch ends when its texts take as much; a batch of Smarter's usual rows takes a tenth of that. */
export const BATCH_BYTES = 8 * 1024 * 1024;

/** RowBatches puts rows together to batches, of so many rows, or fewer where these are large. */
export class RowBatches {
  readonly #mostRows: number;
  #rows: TextRow[] = [];
  #bytes = 0;

  constructor(mostRows: number) {
    this.#mostRows = mostRows;
  }

  /** add gives a batch when one is complete. */
  add(row: TextRow): readonly TextRow[] | undefined {
    this.#rows.push(row);
    this.#bytes += bytesOf(row);
    return this.#rows.length < this.#mostRows && this.#bytes < BATCH_BYTES ? undefined : this.rest();
  }

  /** rest is what was added since the last batch. */
  rest(): readonly TextRow[] {
    const batch = this.#rows;
    this.#rows = [];
    this.#bytes = 0;
    return batch;
  }

  /** nextPiece is how many rows to ask for next, so that rows as large as those of the present batch do not take more than that. */
  nextPiece(): number {
    const fitting =
      this.#rows.length === 0 ? PIECE : Math.floor((BATCH_BYTES * this.#rows.length) / this.#bytes);
    return Math.max(1, Math.min(PIECE, this.#mostRows - this.#rows.length, fitting));
  }
}

function bytesOf(row: TextRow): number {
  return Object.values(row).reduce((sum, text) => sum + (text === null ? 0 : text.length), 1);
}
