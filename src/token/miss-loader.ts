import { Batcher } from '../lib/batcher.js';

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

/** Load is a miss that is being loaded, or waits for that. */
interface Load<Answer> {
  readonly digest: string;
  readonly startedAt: number;
  current: boolean;
  hasBegun: boolean;
  answer: Promise<Answer> | undefined;
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
  readonly #pending = new Map<string, Load<Answer>>();
  readonly #loading = new Batcher<Load<Answer>, Answer>((loads) => this.#query(loads), {
    maxItems: MAX_DIGESTS_A_QUERY,
    maxBatches: MAX_QUERIES,
    isEager: true,
  });

  constructor(fetch: Fetch<Facts>, deliver: Deliver<Facts, Answer>) {
    this.#fetch = fetch;
    this.#deliver = deliver;
  }

  load(digest: string, startedAt: number): Promise<Answer> {
    const pending = this.#pending.get(digest);
    if (pending?.answer !== undefined) return pending.answer;
    const load: Load<Answer> = { digest, startedAt, current: true, hasBegun: false, answer: undefined };
    this.#pending.set(digest, load);
    load.answer = this.#loading.add(load);
    return load.answer;
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
    for (const load of this.#pending.values()) load.current = false;
    this.#pending.clear();
  }

  async #query(loads: readonly Load<Answer>[]): Promise<Answer[]> {
    for (const load of loads) load.hasBegun = true;
    try {
      const found = await this.#fetch([...new Set(loads.map(({ digest }) => digest))]);
      return loads.map((load) => this.#deliver({ ...load, facts: found.get(load.digest) }));
    } finally {
      for (const load of loads) this.#settle(load);
    }
  }

  #settle(load: Load<Answer>): void {
    if (this.#pending.get(load.digest) === load) this.#pending.delete(load.digest);
  }
}
