import type { Change, Revision } from '../../../src/coherence/change.js';
import type { Feed } from '../../../src/watch/feed-broadcast.js';
import type { Head } from '../../../src/coherence/ports.js';

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

/** The epochs of a test's feed. */
export const EPOCH = '0b7c2f0e-5a52-4f2b-8d3c-9f4f1f6f2a11';
export const LATER_EPOCH = '1b7c2f0e-5a52-4f2b-8d3c-9f4f1f6f2a11';

/** FakeFeed is a feed that a test fills. */
export class FakeFeed implements Feed {
  /** How often it was read, besides its head. */
  reads = 0;
  /** What reading fails with. */
  failure: Error | undefined;
  readonly #revisions: Revision[] = [];
  #oldest = 0n;
  #epoch = EPOCH;

  get latest(): Head {
    return { epoch: this.#epoch, revision: BigInt(this.#revisions.length) };
  }

  /** add commits revisions of so many changes each, and gives the latest. */
  add(...sizes: readonly number[]): Head {
    for (const size of sizes) this.#revisions.push(revisionOf(this.latest.revision + 1n, size));
    return this.latest;
  }

  /** restore takes back all but so many revisions, in another epoch. */
  restore(left: number): Head {
    this.#revisions.splice(left);
    this.#epoch = LATER_EPOCH;
    return this.latest;
  }

  /** prune forgets what came up to a revision. */
  prune(upTo: bigint): void {
    this.#oldest = upTo;
  }

  ids(): (bigint | undefined)[] {
    return this.#revisions.flatMap(({ changes }) => changes.map(({ id }) => id));
  }

  async changesAfter({ epoch, revision }: Head, limit: number): ReturnType<Feed['changesAfter']> {
    await this.#answering();
    this.reads += 1;
    if (epoch !== this.#epoch) return 'another epoch';
    if (revision < this.#oldest || revision > this.latest.revision) return 'pruned';
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

  async head(): Promise<Head> {
    await this.#answering();
    return this.latest;
  }

  async #answering(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.failure !== undefined) throw this.failure;
  }
}
