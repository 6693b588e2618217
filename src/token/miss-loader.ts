/** Fetch asks for several digests at once; the result lacks those that are unknown. */
export type Fetch<Facts> = (digests: readonly string[]) => Promise<Map<string, Facts>>;

/**
 * Deliver makes the answer of what was fetched. `current` is false if the digest was outdated since its load
 * began: answer with it, but do not keep it. It runs before anything else can happen, so that no eviction
 * comes between the decision to keep and the keeping.
 */
export type Deliver<Facts, Answer> = (load: {
  readonly digest: string;
  /** undefined for an unknown digest. */
  readonly facts: Facts | undefined;
  readonly current: boolean;
  /** When the load was asked for, in milliseconds: the facts are at least as new. */
  readonly startedAt: number;
}) => Answer;

interface Pending<Answer> {
  readonly digest: string;
  readonly startedAt: number;
  current: boolean;
  hasBegun: boolean;
  readonly promise: Promise<Answer>;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Queries under way at once. Further misses wait and are then fetched together, which is faster than more queries. */
const MAX_QUERIES = 4;
const MAX_DIGESTS_A_QUERY = 500;

/**
 * MissLoader turns misses into few queries: those for one digest are one, a miss that finds the way free is
 * a query of its own at once, and misses that queue up behind others share the next query.
 */
export class MissLoader<Facts, Answer> {
  readonly #fetch: Fetch<Facts>;
  readonly #deliver: Deliver<Facts, Answer>;
  readonly #pending = new Map<string, Pending<Answer>>();
  readonly #queue: Pending<Answer>[] = [];
  #queries = 0;

  constructor(fetch: Fetch<Facts>, deliver: Deliver<Facts, Answer>) {
    this.#fetch = fetch;
    this.#deliver = deliver;
  }

  load(digest: string, startedAt: number): Promise<Answer> {
    const waiting = this.#pending.get(digest);
    if (waiting !== undefined) return waiting.promise;
    const pending = newPending<Answer>(digest, startedAt);
    this.#pending.set(digest, pending);
    this.#queue.push(pending);
    this.#startQueries();
    return pending.promise;
  }

  /** loadAnew is load by a query that begins after the call: it joins no other that is under way. */
  loadAnew(digest: string, startedAt: number): Promise<Answer> {
    if (this.#pending.get(digest)?.hasBegun === true) this.outdate(digest);
    return this.load(digest, startedAt);
  }

  /** outdate makes a load under way not worth remembering; whoever asks from now on starts a new one. */
  outdate(digest: string): void {
    const pending = this.#pending.get(digest);
    if (pending === undefined) return;
    pending.current = false;
    this.#pending.delete(digest);
  }

  outdateAll(): void {
    for (const pending of this.#pending.values()) pending.current = false;
    this.#pending.clear();
  }

  #startQueries(): void {
    while (this.#queue.length > 0 && this.#queries < MAX_QUERIES) {
      void this.#query(this.#queue.splice(0, MAX_DIGESTS_A_QUERY));
    }
  }

  async #query(batch: readonly Pending<Answer>[]): Promise<void> {
    this.#queries += 1;
    for (const pending of batch) pending.hasBegun = true;
    try {
      const found = await this.#fetch([...new Set(batch.map((pending) => pending.digest))]);
      for (const pending of batch) {
        this.#settle(pending);
        pending.resolve(this.#deliver({ ...pending, facts: found.get(pending.digest) }));
      }
    } catch (error) {
      for (const pending of batch) {
        this.#settle(pending);
        pending.reject(error);
      }
    } finally {
      this.#queries -= 1;
      this.#startQueries();
    }
  }

  #settle(pending: Pending<Answer>): void {
    if (this.#pending.get(pending.digest) === pending) this.#pending.delete(pending.digest);
  }
}

function newPending<Answer>(digest: string, startedAt: number): Pending<Answer> {
  let resolve: Pending<Answer>['resolve'] | undefined;
  let reject: Pending<Answer>['reject'] | undefined;
  const promise = new Promise<Answer>((resolvePromise, rejectPromise) => {
    resolve = resolvePromise;
    reject = rejectPromise;
  });
  if (resolve === undefined || reject === undefined) throw new Error('a promise runs its executor at once');
  return { digest, startedAt, current: true, hasBegun: false, promise, resolve, reject };
}
