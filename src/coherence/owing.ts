interface Owed {
  readonly writer: string;
  readonly revision: bigint;
}

/** Due is what can be acknowledged by now. */
interface Due {
  readonly writers: readonly string[];
  readonly revisions: readonly bigint[];
}

/** Owing is the writers that wait for what has been applied here, each with the revisions that it waits for. */
export class Owing {
  #owed: Owed[] = [];

  add(writers: readonly string[], revision: bigint): void {
    for (const writer of writers) this.#owed.push({ writer, revision });
  }

  clear(): void {
    this.#owed = [];
  }

  /** isDue tells whether anything is owed of what is settled. */
  isDue(isSettled: (revision: bigint) => boolean): boolean {
    return this.#owed.some(({ revision }) => isSettled(revision));
  }

  /** take gives what is owed of what is settled, and leaves the rest. */
  take(isSettled: (revision: bigint) => boolean): Due {
    const due = this.#owed.filter(({ revision }) => isSettled(revision));
    this.#owed = this.#owed.filter(({ revision }) => !isSettled(revision));
    return {
      writers: [...new Set(due.map(({ writer }) => writer))],
      revisions: [...new Set(due.map(({ revision }) => revision))],
    };
  }
}
