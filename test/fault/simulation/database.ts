import { TTL_MS } from '../../../src/coherence/lease.js';
import type { Head, LeaseTerms, Notice, Registered, ServerHead } from '../../../src/coherence/ports.js';
import type { Random } from '../../support/random.js';
import { Backend, type Told } from './backend.js';
import { RATE_ERROR } from './machine.js';
import { ALL_ROWS, evictionOf, Versions, type Change, type Row } from './rows.js';
import type { Scheduler } from './scheduler.js';

interface Registration {
  readonly epoch: string;
  readonly expiresAt: number;
  readonly maxStaleMs: number;
  readonly applied: bigint;
  readonly renewals: bigint;
}

/** StoredEpoch is the row that tells the epoch; it belongs to one history of the feed. */
interface StoredEpoch {
  readonly epoch: string;
  readonly history: number;
  readonly beganAt: number | undefined;
}

/** Copy is everything that the database holds at a moment. */
export interface Copy {
  readonly exists: readonly boolean[];
  readonly feed: readonly Notice[];
  readonly head: bigint;
  readonly replicas: ReadonlyMap<string, Registration>;
  readonly barriers: ReadonlyMap<string, bigint>;
  readonly stored: StoredEpoch;
}

export interface DatabaseOptions {
  /** How long a transaction takes from its last statement until others see it, in milliseconds. */
  readonly commitMs: () => number;
  /** How long a statement takes, in milliseconds. */
  readonly statementMs: () => number;
  /** How long it takes from a commit until a session that listens has heard of it, in milliseconds. */
  readonly notifyMs: () => number;
}

/**
 * Database is PostgreSQL as far as the protocol rests on it: a statement sees what was committed before it
 * began; a commit is seen by all at one moment; revisions are in the order of commits; listening sessions are
 * told after the commit and in that order; a row that is being changed makes others wait.
 *
 * An older copy that takes its place is a change of every row, of which nobody is told: versions only grow.
 */
export class Database {
  readonly options: DatabaseOptions;
  readonly rows: readonly Versions[] = ALL_ROWS.map(() => new Versions());
  readonly #scheduler: Scheduler;
  readonly #clockRate: number;
  readonly #backends = new Set<Backend>();
  #replicas = new Map<string, Registration>();
  readonly #locks = new Map<string, { holder: Backend | undefined; readonly waiting: (() => void)[] }>();
  #barriers = new Map<string, bigint>();
  #feed: Notice[] = [];
  /** Tells the place of the feed from all others, as tables and timelines do. */
  #history = 0;
  #epochs = 0;
  #stored: StoredEpoch | undefined;
  #clockOffset = 0;
  /** Whether an older copy is started, or was, and goes on with its epoch until somebody notices. */
  #isOlder = false;
  #head = 0n;
  #isUp = true;
  /** Counts restarts: what was under way in an earlier life is not committed. */
  #life = 0;

  constructor(scheduler: Scheduler, random: Random, options: DatabaseOptions) {
    this.options = options;
    this.#scheduler = scheduler;
    this.#clockRate = 1 + RATE_ERROR * random.pick([-1, 0, 1]);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get head(): ServerHead {
    const { epoch } = this.#epoch();
    return { epoch, revision: this.#head, server: `server ${this.#life}` };
  }

  row(row: Row): Versions {
    const versions = this.rows[row];
    if (versions === undefined) throw new Error('there is no such row');
    return versions;
  }

  /** isUnnoticed tells whether an older copy was started of which nobody has noticed yet that it is one. */
  get isUnnoticed(): boolean {
    if (this.#isUp) this.#epoch();
    return this.#isOlder;
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
  restart(downMs: number, isSilent: boolean, change: () => void = () => undefined): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#life += 1;
    for (const backend of this.backends) {
      this.end(backend);
      if (!isSilent) backend.hangUp();
    }
    this.#scheduler.after(downMs, () => {
      change();
      this.#isUp = true;
    });
  }

  /** copy is of a database that is in use: it holds an epoch. */
  copy(): Copy {
    const stored = this.#epoch();
    return {
      exists: this.rows.map(({ isThere }) => isThere),
      feed: [...this.#feed],
      head: this.#head,
      replicas: new Map(this.#replicas),
      barriers: new Map(this.#barriers),
      stored,
    };
  }

  /** restore puts a copy into the tables while all sessions go on. */
  restore(copy: Copy): void {
    if (!this.#isUp) return;
    this.#takeBack(copy);
    this.#history += 1;
  }

  /** truncateFeed lets revisions begin anew. */
  truncateFeed(): void {
    this.#feed = [];
    this.#head = 0n;
    this.#history += 1;
  }

  /** promote ends everything; another server goes on with an older copy, on another timeline and by another clock. */
  promote(copy: Copy, downMs: number, clockMs: number): void {
    this.restart(downMs, false, () => {
      this.#takeBack(copy);
      this.#history += 1;
      this.#clockOffset += clockMs;
    });
  }

  /** startOlder ends everything and starts from an older copy, as if nothing had happened. */
  startOlder(copy: Copy, downMs: number): void {
    this.#isOlder = true;
    this.restart(downMs, false, () => {
      this.#takeBack(copy);
    });
  }

  setClockBack(ms: number): void {
    this.#clockOffset -= ms;
  }

  /** isClockWrong tells whether the clock has been set back, or another server has another one. */
  get isClockWrong(): boolean {
    return this.#clockOffset !== 0;
  }

  endEpoch(epoch: string): void {
    if (this.#epoch().epoch === epoch) this.#stored = this.#newEpoch();
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
  register(
    backend: Backend,
    replica: string,
    terms: LeaseTerms,
    done: (renewals: bigint, headBefore: ServerHead) => void,
  ): void {
    this.#lock(backend, replica, () => {
      const { head } = this;
      const commit = this.#renewal(replica, terms);
      backend.later(this.options.commitMs(), () => {
        const renewals = commit();
        this.#unlock(replica);
        done(renewals, head);
      });
    });
  }

  /** registerFromPool is a renewal that is no business of the session that listens. */
  registerFromPool(replica: string, terms: LeaseTerms): bigint {
    return this.#renewal(replica, terms)();
  }

  leave(replica: string): void {
    this.#replicas.delete(replica);
  }

  registered(): Registered {
    const now = this.#clock();
    const { epoch, beganAt } = this.#epoch();
    const present = [...this.#replicas].filter(([, registration]) => registration.epoch === epoch);
    return {
      epoch,
      epochAgeMs: beganAt === undefined ? undefined : now - beganAt,
      server: `server ${this.#life}`,
      replicas: present.map(([replica, { expiresAt, maxStaleMs, applied, renewals }]) => ({
        replica,
        leftMs: Math.min(expiresAt - now, TTL_MS),
        maxStaleMs,
        applied,
        renewals,
      })),
    };
  }

  /** leftMs is what is left of a lease by the clock of the database alone. */
  leftMs(replica: string): number {
    return (this.#replicas.get(replica)?.expiresAt ?? -Infinity) - this.#clock();
  }

  /** revisionOf is the revision of the transaction that placed a barrier. */
  revisionOf(barrier: string): bigint | undefined {
    return this.#barriers.get(barrier);
  }

  noticesAfter({ epoch, revision }: Head, upTo: bigint): Notice[] | 'pruned' {
    const notices = this.#feed.filter((notice) => notice.revision > revision && notice.revision <= upTo);
    // The rows hold no epoch.
    const isWhole = BigInt(notices.length) === upTo - revision;
    return isWhole ? notices.map((each) => ({ ...each, epoch })) : 'pruned';
  }

  pruneFeed(): void {
    this.#feed = [];
  }

  /** acknowledge notifies the writers' sessions. */
  acknowledge(writers: readonly string[], ...told: Parameters<Backend['notifyAcknowledged']>): void {
    for (const backend of this.#backends) {
      if (writers.includes(backend.replica)) backend.notifyAcknowledged(...told);
    }
  }

  /** #renewal begins a renewal, and gives what commits it. */
  #renewal(replica: string, { ttlMs, maxStaleMs, applied }: LeaseTerms): () => bigint {
    const { epoch } = this.#epoch();
    const expiresAt = this.#clock() + ttlMs;
    const revision = applied?.epoch === epoch ? applied.revision : 0n;
    return () => {
      const renewals = (this.#replicas.get(replica)?.renewals ?? 0n) + 1n;
      this.#replicas.set(replica, { epoch, expiresAt, maxStaleMs, applied: revision, renewals });
      return renewals;
    };
  }

  #takeBack({ exists, feed, head, replicas, barriers, stored }: Copy): void {
    const { now } = this.#scheduler;
    this.rows.forEach((row, place) => {
      row.change(exists[place] === true, now);
    });
    this.#feed = [...feed];
    this.#head = head;
    this.#replicas = new Map(replicas);
    this.#barriers = new Map(barriers);
    this.#stored = stored;
  }

  /** #epoch is the present one: another wherever the row belongs to another history. */
  #epoch(): StoredEpoch {
    const now = this.#clock();
    const stored = this.#stored;
    if (stored?.history !== this.#history) this.#stored = this.#newEpoch();
    else if ((stored.beganAt ?? now) > now) this.#stored = { ...stored, beganAt: now };
    return this.#stored as StoredEpoch;
  }

  #newEpoch(): StoredEpoch {
    this.#epochs += 1;
    this.#isOlder = false;
    const beganAt = this.#stored === undefined ? undefined : this.#clock();
    const epoch = `00000000-0000-4000-8000-${String(this.#epochs).padStart(12, '0')}`;
    return { epoch, history: this.#history, beganAt };
  }

  #apply(change: Change): bigint {
    const { now } = this.#scheduler;
    for (const row of change.changed) this.row(row).change(true, now);
    for (const row of change.gone) this.row(row).change(false, now);
    this.#head += 1n;
    if (change.barrier !== undefined) this.#barriers.set(change.barrier.id, this.#head);
    const notice: Notice = {
      epoch: this.#epoch().epoch,
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
    return this.#scheduler.now * this.#clockRate + this.#clockOffset;
  }
}
