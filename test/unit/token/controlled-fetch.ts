/** A query that a test answers when and how it likes. */
export interface Query<Facts> {
  readonly digests: readonly string[];
  resolve(found: Map<string, Facts>): void;
  reject(error: unknown): void;
}

/** ControlledFetch stands for the database: it lists the queries that were asked and not yet answered. */
export class ControlledFetch<Facts> {
  readonly open: Query<Facts>[] = [];
  /** How many queries were asked, answered ones included. */
  asked = 0;

  readonly fetch = (digests: readonly string[]): Promise<Map<string, Facts>> => {
    this.asked += 1;
    return new Promise((resolve, reject) => {
      this.open.push({ digests, resolve, reject });
    });
  };

  /** take removes the query at a place from the list, to be answered. */
  take(index = 0): Query<Facts> {
    const [query] = this.open.splice(index, 1);
    if (query === undefined) throw new Error('there is no open query');
    return query;
  }
}

/** settled lets all promises go as far as they can without another query being answered. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
