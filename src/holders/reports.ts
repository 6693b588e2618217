/** Use is how often something was used, and how long ago the last time was. */
export interface Use<Id> {
  readonly id: Id;
  readonly count: number;
  readonly agoMs: number;
}

/** No process judges more often. */
const USES_A_MS = 1_000;
/** How much of the time in which it reported nothing counts. */
const MAX_GATHERED_MS = 60_000;
/** Keys are told apart by as many of their hexadecimal digits as make a small integer. */
const DIGITS = 7;

/**
 * Reports are what one client may report of uses: of keys that it was told of on its stream, and so often as a process can judge in the
 * time that has passed. Of what it came with the replica knows no keys: of as many others it may report as it then named.
 */
export class Reports {
  readonly #most: number;
  /** Those that it was told of last, in their order. */
  readonly #keys = new Set<number>();
  #unknown = 0;
  #allowedMs = MAX_GATHERED_MS;
  #countedAt: number;

  /** `most` is how many tokens the client may hold. */
  constructor(most: number, nowMs: number) {
    // What it has let go of since its last report is reported yet.
    this.#most = 2 * most;
    this.#countedAt = nowMs;
  }

  /** named lets it report of so many keys that it was told of on another stream. */
  named(tokens: number): void {
    this.#unknown = tokens;
  }

  told(keyId: string): void {
    const key = keyOf(keyId);
    this.#keys.delete(key);
    this.#keys.add(key);
    const [oldest] = this.#keys;
    if (this.#keys.size > this.#most && oldest !== undefined) this.#keys.delete(oldest);
  }

  /** accept gives what counts of what was reported. */
  accept(uses: readonly Use<string>[], nowMs: number): Use<string>[] {
    this.#allowedMs = Math.min(MAX_GATHERED_MS, this.#allowedMs + nowMs - this.#countedAt);
    this.#countedAt = nowMs;
    return uses.flatMap((use) => {
      const count = Math.min(use.count, Math.floor(this.#allowedMs * USES_A_MS));
      if (count === 0 || !this.#knows(use.id)) return [];
      this.#allowedMs -= count / USES_A_MS;
      return [{ ...use, count }];
    });
  }

  #knows(keyId: string): boolean {
    if (this.#keys.has(keyOf(keyId))) return true;
    if (this.#unknown === 0) return false;
    this.#unknown -= 1;
    this.told(keyId);
    return true;
  }
}

function keyOf(keyId: string): number {
  return Number.parseInt(keyId.slice(0, DIGITS), 16);
}
