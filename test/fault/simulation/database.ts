import type { LeaseTerms, Notice, ReplicaLease } from '../../../src/coherence/ports.js';
import type { Random } from '../../support/random.js';
import { Backend, type Told } from './backend.js';
import { RATE_ERROR } from './machine.js';
import type { Scheduler } from './scheduler.js';

/** Versions is a row and all that it was: every change adds a version, in which the row may be gone. */
export class Versions {
  readonly exists: boolean[] = [true];
  /** When each version was committed. */
  readonly since: number[] = [-Infinity];

  get latest(): number {
    return this.exists.length - 1;
  }

  change(exists: boolean, now: number): void {
    this.exists.push(exists);
    this.since.push(now);
  }
}

/** Change is what a transaction does. */
export interface Change {
  /** Places in `tokens` of those that are changed or, if they are gone, made again. */
  readonly tokens: readonly number[];
  /** Places in `tokens` of those that are deleted. */
  readonly deleted: readonly number[];
  /** Places in `tokens` of those that were to be changed and are already as wanted. */
  readonly unchanged: readonly number[];
  /** Places in `owners` of those that are changed. */
  readonly owners: readonly number[];
  /** True if the notice does not tell what was changed. */
  readonly isUntold: boolean;
  readonly barrier?: { readonly id: string; readonly writer: string };
}

interface Registration {
  readonly expiresAt: number;
  readonly maxStaleMs: number;
  readonly applied: bigint;
}

export interface DatabaseOptions {
  readonly tokens: number;
  readonly owners: number;
  /** How long a transaction takes from its last statement until others see it, in milliseconds. */
  readonly commitMs: () => number;
  /** How long a statement takes, in milliseconds. */
  readonly statementMs: () => number;
  /** How long it takes from a commit until a session that listens has heard of it, in milliseconds. */
  readonly notifyMs: () => number;
}

export function digestOf(token: number): string {
  return String.fromCharCode(97 + token);
}

/**
 * Database is PostgreSQL as far as the protocol rests on it: a statement sees what was committed before it
 * began; a commit is seen by all at one moment; revisions are in the order of commits; listening sessions are
 * told after the commit and in that order; a row that is being changed makes others wait.
 */
export class Database {
  readonly options: DatabaseOptions;
  readonly tokens: readonly Versions[];
  readonly owners: readonly Versions[];
  readonly #scheduler: Scheduler;
  readonly #clockRate: number;
  readonly #backends = new Set<Backend>();
  readonly #replicas = new Map<string, Registration>();
  readonly #locks = new Map<string, { holder: Backend | undefined; readonly waiting: (() => void)[] }>();
  readonly #barriers = new Map<string, bigint>();
  #feed: Notice[] = [];
  #head = 0n;
  #isUp = true;
  /** Counts restarts: what was under way in an earlier life is not committed. */
  #life = 0;

  constructor(scheduler: Scheduler, random: Random, options: DatabaseOptions) {
    this.options = options;
    this.#scheduler = scheduler;
    this.#clockRate = 1 + RATE_ERROR * random.pick([-1, 0, 1]);
    this.tokens = Array.from({ length: options.tokens }, () => new Versions());
    this.owners = Array.from({ length: options.owners }, () => new Versions());
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get head(): bigint {
    return this.#head;
  }

  get backends(): readonly Backend[] {
    return [...this.#backends];
  }

  accept(replica: string, told: Told): Backend {
    const backend = new Backend(this.#scheduler, replica, this.options, told);
    this.#backends.add(backend);
    return backend;
  }

  /** end ends a backend: what it had not committed is undone. */
  end(backend: Backend): void {
    backend.end();
    this.#backends.delete(backend);
    for (const [replica, lock] of this.#locks) if (lock.holder === backend) this.#unlock(replica);
  }

  /** restart ends everything that is under way; what was committed is there again after some time. */
  restart(downMs: number, isSilent: boolean): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#life += 1;
    for (const backend of this.backends) {
      this.end(backend);
      if (!isSilent) backend.hangUp();
    }
    this.#scheduler.after(downMs, () => {
      this.#isUp = true;
    });
  }

  /** commit runs a transaction; `done` is not called if the database fails before its end. */
  commit(change: Change, done: (revision: bigint) => void): void {
    const life = this.#life;
    this.#scheduler.after(this.options.commitMs(), () => {
      if (life !== this.#life) return;
      done(this.#apply(change));
    });
  }

  /** register is the renewal of a lease; `done` is told which head a statement would have seen at its beginning. */
  register(backend: Backend, replica: string, terms: LeaseTerms, done: (headBefore: bigint) => void): void {
    this.#lock(backend, replica, () => {
      const expiresAt = this.#clock() + terms.ttlMs;
      const head = this.#head;
      backend.later(this.options.commitMs(), () => {
        this.#replicas.set(replica, { expiresAt, maxStaleMs: terms.maxStaleMs, applied: terms.applied });
        this.#unlock(replica);
        done(head);
      });
    });
  }

  /** registerFromPool is a renewal that is no business of the session that listens. */
  registerFromPool(replica: string, terms: LeaseTerms, done: () => void): void {
    const expiresAt = this.#clock() + terms.ttlMs;
    this.#replicas.set(replica, { expiresAt, maxStaleMs: terms.maxStaleMs, applied: terms.applied });
    done();
  }

  leave(replica: string): void {
    this.#replicas.delete(replica);
  }

  replicas(): ReplicaLease[] {
    const now = this.#clock();
    return [...this.#replicas].map(([replica, { expiresAt, maxStaleMs, applied }]) => ({
      replica,
      leftMs: expiresAt - now,
      maxStaleMs,
      applied,
    }));
  }

  /** revisionOf is the revision of the transaction that placed a barrier. */
  revisionOf(barrier: string): bigint | undefined {
    return this.#barriers.get(barrier);
  }

  noticesAfter(revision: bigint, upTo: bigint): Notice[] | 'pruned' {
    const notices = this.#feed.filter((notice) => notice.revision > revision && notice.revision <= upTo);
    return BigInt(notices.length) === upTo - revision ? notices : 'pruned';
  }

  pruneFeed(): void {
    this.#feed = [];
  }

  /** acknowledge notifies the writers' sessions. */
  acknowledge(writers: readonly string[], replica: string, revision: bigint): void {
    for (const backend of this.#backends) {
      if (writers.includes(backend.replica)) backend.notifyAcknowledged(replica, revision);
    }
  }

  #apply(change: Change): bigint {
    const { now } = this.#scheduler;
    for (const token of change.tokens) this.tokens[token]?.change(true, now);
    for (const token of change.deleted) this.tokens[token]?.change(false, now);
    for (const owner of change.owners) this.owners[owner]?.change(true, now);
    this.#head += 1n;
    if (change.barrier !== undefined) this.#barriers.set(change.barrier.id, this.#head);
    const notice: Notice = {
      revision: this.#head,
      eviction: evictionOf(change),
      writers: change.barrier === undefined ? [] : [change.barrier.writer],
    };
    this.#feed.push(notice);
    for (const backend of this.#backends) backend.notify(notice);
    return this.#head;
  }

  #lock(backend: Backend, replica: string, work: () => void): void {
    const lock = this.#locks.get(replica) ?? { holder: undefined, waiting: [] };
    this.#locks.set(replica, lock);
    if (lock.holder === undefined) {
      lock.holder = backend;
      work();
      return;
    }
    lock.waiting.push(() => {
      if (backend.isEnded) {
        this.#unlock(replica);
      } else {
        lock.holder = backend;
        backend.later(0, work);
      }
    });
  }

  #unlock(replica: string): void {
    const lock = this.#locks.get(replica);
    if (lock === undefined) return;
    lock.holder = undefined;
    lock.waiting.shift()?.();
  }

  #clock(): number {
    return this.#scheduler.now * this.#clockRate;
  }
}

/** evictionOf is what the triggers tell of a change. */
export function evictionOf({ tokens, deleted, owners, isUntold }: Change): Notice['eviction'] {
  return {
    everything: isUntold,
    digests: isUntold ? [] : [...tokens, ...deleted].map(digestOf),
    owners: { userIds: isUntold ? [] : owners.map(BigInt), accountIds: [], profileIds: [] },
  };
}
