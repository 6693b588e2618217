import type { Change, Revision } from '../../../src/coherence/change.js';
import type { Feed } from '../../../src/coherence/feed-broadcast.js';

/** changeOf is an update of a token; no two of a test should have the same number. */
function changeOf(id: bigint): Change {
  return {
    kind: 'token',
    op: 'updated',
    id,
    keyId: undefined,
    profileId: 1n,
    userId: 1n,
    accountId: 1n,
    granteeIds: [],
  };
}

/** revisionOf is a revision of so many changes, with ids that tell its number and theirs. */
export function revisionOf(revision: bigint, size: number): Revision {
  const changes = Array.from({ length: size }, (_, index) => changeOf(revision * 1_000_000n + BigInt(index)));
  return { revision, committedAt: 0n, changes };
}

/** FakeFeed is a feed that a test fills. */
export class FakeFeed implements Feed {
  /** How often it was read, besides its head. */
  reads = 0;
  /** What reading fails with. */
  failure: Error | undefined;
  readonly #revisions: Revision[] = [];
  #oldest = 0n;

  get head(): bigint {
    return BigInt(this.#revisions.length);
  }

  /** add commits revisions of so many changes each, and gives the latest. */
  add(...sizes: readonly number[]): bigint {
    for (const size of sizes) this.#revisions.push(revisionOf(this.head + 1n, size));
    return this.head;
  }

  /** prune forgets what came up to a revision. */
  prune(upTo: bigint): void {
    this.#oldest = upTo;
  }

  ids(): (bigint | undefined)[] {
    return this.#revisions.flatMap(({ changes }) => changes.map(({ id }) => id));
  }

  async changesAfter(revision: bigint, limit: number): Promise<readonly Revision[] | 'pruned'> {
    await this.#answering();
    this.reads += 1;
    if (revision < this.#oldest || revision > this.head) return 'pruned';
    let before = 0;
    return this.#revisions.slice(Number(revision), Number(revision) + limit).filter(({ changes }) => {
      before += changes.length;
      return before - changes.length < 10_000;
    });
  }

  async oldestRevision(): Promise<bigint> {
    await this.#answering();
    return this.#oldest;
  }

  async latestRevision(): Promise<bigint> {
    await this.#answering();
    return this.head;
  }

  async #answering(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.failure !== undefined) throw this.failure;
  }
}
