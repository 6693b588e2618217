/** Gate lets through all who change something, unless it is closed: then it waits for them, and they for it. */
export class Gate {
  #inside = 0;
  #closed: Promise<void> | undefined;
  #empty: () => void = () => undefined;

  /** through does some work inside. */
  async through<T>(work: () => Promise<T>): Promise<T> {
    while (this.#closed !== undefined) await this.#closed;
    this.#inside += 1;
    try {
      return await work();
    } finally {
      this.#inside -= 1;
      if (this.#inside === 0) this.#empty();
    }
  }

  /** closed does some work while nobody is inside. One after the other. */
  async closed<T>(work: () => Promise<T>): Promise<T> {
    while (this.#closed !== undefined) await this.#closed;
    let open: () => void = () => undefined;
    this.#closed = new Promise((resolve) => {
      open = resolve;
    });
    try {
      if (this.#inside > 0) await new Promise<void>((resolve) => (this.#empty = resolve));
      return await work();
    } finally {
      this.#empty = () => undefined;
      this.#closed = undefined;
      open();
    }
  }
}
