/** A resource that must be closed, named for error messages. */
interface Closing {
  readonly name: string;
  readonly close: () => Promise<unknown> | undefined;
}

/** Closer closes what was opened, last opened first; each is closed even if another fails to. */
export class Closer {
  readonly #stack: Closing[] = [];

  add(name: string, close: () => Promise<unknown> | undefined): void {
    this.#stack.push({ name, close });
  }

  /** close closes everything once; calling it again does nothing. It throws all errors as one. */
  async close(): Promise<void> {
    const errors: unknown[] = [];
    for (let next = this.#stack.pop(); next !== undefined; next = this.#stack.pop()) {
      try {
        await next.close();
      } catch (error) {
        errors.push(new Error(`closing ${next.name} failed`, { cause: error }));
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'not everything could be closed');
  }
}
