interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** Work does what there is to do for all items of a batch, or fails. It gives a result for each, in their order. */
type Work<Item, Result> = (items: readonly Item[]) => Promise<readonly Result[]>;

interface BatchOptions {
  /** Most items of a batch. */
  readonly maxItems: number;
  /** Most batches under way at once; one if not given. */
  readonly maxBatches?: number;
  /** Begin at once where the way is free, and not with what else arrives in the same turn of the event loop. */
  readonly isEager?: boolean;
}

/**
 * Batcher does work that is asked for at the same time together. What arrives while as many batches as may be are under
 * way goes into the next: under load one batch does the work of many, and a lone item waits for nothing. The work for an
 * item begins after the item came, so nothing is answered with what was known before.
 */
export class Batcher<Item, Result> {
  readonly #work: Work<Item, Result>;
  readonly #maxItems: number;
  readonly #maxBatches: number;
  readonly #isEager: boolean;
  #waiting: Waiting<Item, Result>[] = [];
  #batches = 0;

  constructor(work: Work<Item, Result>, { maxItems, maxBatches = 1, isEager = false }: BatchOptions) {
    this.#work = work;
    this.#maxItems = maxItems;
    this.#maxBatches = maxBatches;
    this.#isEager = isEager;
  }

  /** add gives what the work has for the item, and rejects with the error of the batch that it was in. */
  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#batches < this.#maxBatches) void this.#workOff();
    });
  }

  async #workOff(): Promise<void> {
    this.#batches += 1;
    if (!this.#isEager) await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, this.#maxItems);
      this.#waiting = this.#waiting.slice(this.#maxItems);
      try {
        const results = await this.#work(batch.map(({ item }) => item));
        if (results.length !== batch.length) throw new Error('a batch has not one result for each item');
        batch.forEach(({ resolve }, index) => {
          resolve(results[index] as Result);
        });
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#batches -= 1;
  }
}

/** writing is work that has nothing to tell but that it is done. */
export function writing<Item>(write: (items: readonly Item[]) => Promise<void>): Work<Item, void> {
  return async (items) => {
    await write(items);
    return items.map(() => undefined);
  };
}
