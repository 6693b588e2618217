interface Waiting<Item> {
  readonly item: Item;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * GroupCommit writes items that arrive at the same time together. There is one write at a time, and all that
 * arrives meanwhile goes into the next: under load one write does the work of many, and a lone item waits for
 * nothing.
 */
export class GroupCommit<Item> {
  readonly #write: (items: readonly Item[]) => Promise<void>;
  readonly #mostItems: number;
  #waiting: Waiting<Item>[] = [];
  #isWriting = false;

  /** `write` must write all of the items or fail; it is given 1 to `mostItems`, in the order of arrival. */
  constructor(write: (items: readonly Item[]) => Promise<void>, mostItems: number) {
    this.#write = write;
    this.#mostItems = mostItems;
  }

  /** add resolves once the item is written, and rejects with the error of the write that it was in. */
  add(item: Item): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (!this.#isWriting) void this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    // What arrives in the same turn of the event loop goes into the first write.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, this.#mostItems);
      this.#waiting = this.#waiting.slice(this.#mostItems);
      try {
        await this.#write(batch.map(({ item }) => item));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isWriting = false;
  }
}
