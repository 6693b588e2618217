/** Locks lets work go on at once unless it needs the same things; then in the order in which it asked. */
export class Locks {
  readonly #last = new Map<string, Promise<void>>();

  async holding(keys: readonly string[], work: () => Promise<void>): Promise<void> {
    const before = keys.flatMap((key) => this.#last.get(key) ?? []);
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    // All places in the queues are taken at once, so nobody waits for one who waits in turn.
    for (const key of keys) this.#last.set(key, released);
    try {
      await Promise.all(before);
      await work();
    } finally {
      release();
    }
  }
}
