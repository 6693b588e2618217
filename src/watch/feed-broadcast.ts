import { KeywardError } from '../lib/errors.js';
import { PIECE } from '../lib/page-size.js';
import type { Timer, Timers } from '../lib/timers.js';
import type { Revision } from '../coherence/change.js';
import { isAfter, restOf, slicesOf, type FeedSlice, type Position, type Start } from './feed-slice.js';
import type { Head } from '../coherence/ports.js';

/** What is needed of the change feed. */
export interface Feed {
  changesAfter(after: Head, limit: number): Promise<readonly Revision[] | 'pruned' | 'another epoch'>;
  oldestRevision(): Promise<bigint>;
  head(): Promise<Head>;
}

/** FeedWatcher is one who is told of every change after a position. */
export interface FeedWatcher {
  /** Where the watcher is: at first where it began, then at the end of what `next` gave. */
  readonly position: Position;
  /**
   * next gives the following changes; undefined if there are none within `ms` milliseconds. Throws once the watch
   * has ended.
   */
  next(ms: number): Promise<FeedSlice | undefined>;
  /** sending tells whether the watcher waits for its client to take a message. */
  sending(isSending: boolean): void;
  /** close ends the watch; a `next` under way throws. */
  close(): void;
}

/** Changes in one slice, whose resources are read together: the largest take most of a megabyte each. */
const SLICE = PIECE;
/** Revisions read at once. */
const PAGE = 100;
/** Changes that a watcher may be behind what is read; what is read for it is kept until then. */
const MAX_BEHIND = 20_000;
/** How often the feed is read without a notice; more seldom than notices are lost. */
const POLL_MS = 5_000;
/** A watcher whose client has not taken a message for so long is not waited for. */
const STALLED_MS = 5_000;

/** Before anything was heard or read. */
const NOWHERE: Head = { epoch: '', revision: 0n };

/** Link is one slice in the chain of those that were read. A watcher holds the last that it has; nothing else holds them. */
interface Link {
  readonly slice: FeedSlice;
  /** How many changes were read up to here. */
  readonly count: number;
  next: Link | undefined;
}

/**
 * FeedBroadcast reads the change feed once for all who watch it, when there is something to read and someone to
 * read it for. Those who begin further back read up to the rest by themselves, page by page.
 */
export class FeedBroadcast {
  readonly #feed: Feed;
  readonly #timers: Timers;
  readonly #stopping: AbortSignal;
  readonly #live = new Set<Watcher>();
  readonly #all = new Set<Watcher>();
  #tail: Link = linkAt(NOWHERE);
  /** The latest revision that is known to be there. */
  #heard: Head = NOWHERE;
  /** Whether there may be more than what was heard of. */
  #isUnsure = false;
  #isReading = false;
  #poll: Timer | undefined;

  /** `stopping` ends every watch when it is aborted, with its reason. */
  constructor(feed: Feed, timers: Timers, stopping: AbortSignal) {
    this.#feed = feed;
    this.#timers = timers;
    this.#stopping = stopping;
    stopping.addEventListener('abort', () => {
      this.#poll?.cancel();
      this.#endAll(this.#all, stopping.reason as Error);
    });
  }

  /** wake tells that a revision is there. Another epoch ends all who watch, which is found by reading. */
  wake({ epoch, revision }: Head): void {
    if (epoch !== this.#heard.epoch) this.#isUnsure = true;
    if (epoch !== this.#heard.epoch || revision > this.#heard.revision) this.#heard = { epoch, revision };
    this.#readOn();
  }

  /**
   * watch begins at a position, or at the present.
   * EPOCH_CHANGED, REVISION_TOO_OLD or REVISION_IN_FUTURE if it cannot begin there.
   */
  async watch(start: Start | undefined): Promise<FeedWatcher> {
    this.#stopping.throwIfAborted();
    const position = await this.#positionOf(start);
    const watcher = new Watcher(position, {
      timers: this.#timers,
      missed: (from) => this.#missed(from),
      join: (joining) => this.#join(joining),
      idle: () => {
        this.#readOn();
      },
      leave: (leaving) => {
        this.#all.delete(leaving);
        this.#live.delete(leaving);
      },
    });
    this.#all.add(watcher);
    if (start !== undefined) await watcher.replay();
    return watcher;
  }

  async #positionOf(start: Start | undefined): Promise<Position> {
    if (start?.epoch !== undefined) return { ...start, epoch: start.epoch };
    const { epoch, revision } = await this.#feed.head();
    return { epoch, revision: start?.revision ?? revision, skip: start?.skip ?? 0 };
  }

  /** #missed reads a page for one watcher alone. */
  async #missed(from: Head): Promise<FeedSlice[]> {
    const page = await this.#feed.changesAfter(from, PAGE);
    if (page === 'another epoch') throw epochChanged();
    if (page === 'pruned') throw await this.#outOfRange(from);
    return slicesOf(from.epoch, page, SLICE);
  }

  async #outOfRange({ epoch, revision }: Head): Promise<KeywardError> {
    const latest = await this.#feed.head();
    if (epoch !== latest.epoch) return epochChanged();
    if (revision > latest.revision) {
      return new KeywardError('REVISION_IN_FUTURE', 'There is no such revision yet.', {
        metadata: { latest_revision: String(latest.revision) },
      });
    }
    return new KeywardError('REVISION_TOO_OLD', 'Changes after this revision are kept no longer.', {
      metadata: { oldest_revision: String(await this.#feed.oldestRevision()) },
    });
  }

  /** #join lets a watcher that has come to what was read for all go on with that; undefined for one that has not. */
  #join(watcher: Watcher): Link | undefined {
    const { epoch, revision } = watcher.position;
    // This one has just read: it is the others that go on in an epoch that is over.
    if (epoch !== this.#tail.slice.end.epoch) this.#endAll(this.#live, epochChanged());
    if (this.#live.size === 0) this.#tail = linkAt(watcher.position);
    else if (revision < this.#tail.slice.end.revision) return undefined;
    this.#live.add(watcher);
    this.#isUnsure = true;
    if (this.#poll === undefined) this.#pollLater();
    this.#readOn();
    return this.#tail;
  }

  #pollLater(): void {
    this.#poll = this.#timers.after(POLL_MS, () => {
      this.#poll = undefined;
      if (this.#live.size === 0) return;
      this.#pollLater();
      this.#isUnsure = true;
      this.#readOn();
    });
  }

  #readOn(): void {
    if (this.#isReading || !this.#isBehind() || !this.#isWanted()) return;
    this.#isReading = true;
    void this.#read();
  }

  async #read(): Promise<void> {
    try {
      while (this.#isBehind() && this.#isWanted()) this.#append(await this.#nextPage());
    } catch (error) {
      this.#endAll(this.#live, error as Error);
    } finally {
      this.#isReading = false;
    }
    // Someone may have joined when it had just failed, or come to the end.
    this.#readOn();
  }

  async #nextPage(): Promise<FeedSlice[]> {
    this.#isUnsure = false;
    const tail = this.#tail;
    const page = await this.#missed(tail.slice.end).catch((error: unknown) => {
      if (tail === this.#tail) throw error;
      return [];
    });
    // Nobody was left meanwhile, and then somebody came: that one begins elsewhere.
    if (tail !== this.#tail) return [];
    if (page.length > 0 && !this.#hasHeardAfter(tail)) this.#isUnsure = true;
    return page;
  }

  #append(slices: readonly FeedSlice[]): void {
    for (const slice of slices) {
      const link = { slice, count: this.#tail.count + slice.items.length, next: undefined };
      this.#tail.next = link;
      this.#tail = link;
    }
    if (!this.#hasHeardAfter(this.#tail)) this.#heard = this.#tail.slice.end;
    for (const watcher of [...this.#live]) {
      if (this.#tail.count - watcher.count > MAX_BEHIND) watcher.end(tooSlow());
      else watcher.wake();
    }
  }

  #isBehind(): boolean {
    return this.#isUnsure || this.#hasHeardAfter(this.#tail);
  }

  #hasHeardAfter({ slice: { end } }: Link): boolean {
    return this.#heard.epoch === end.epoch && this.#heard.revision > end.revision;
  }

  /** #isWanted keeps what is read from growing faster than someone takes it, unless nobody takes anything. */
  #isWanted(): boolean {
    if (this.#live.size === 0) return false;
    const watchers = [...this.#live];
    const stalledBefore = this.#timers.monotonicMs() - STALLED_MS;
    return (
      watchers.some(({ isAtEnd }) => isAtEnd) ||
      watchers.every(({ sendingSince }) => sendingSince !== undefined && sendingSince <= stalledBefore)
    );
  }

  #endAll(watchers: ReadonlySet<Watcher>, error: Error): void {
    for (const watcher of [...watchers]) watcher.end(error);
  }
}

interface WatcherOptions {
  readonly timers: Timers;
  readonly missed: (from: Head) => Promise<FeedSlice[]>;
  readonly join: (watcher: Watcher) => Link | undefined;
  readonly idle: () => void;
  readonly leave: (watcher: Watcher) => void;
}

class Watcher implements FeedWatcher {
  readonly #options: WatcherOptions;
  #position: Position;
  /** What this watcher read by itself and has not given yet. */
  #replayed: FeedSlice[] = [];
  /** Undefined until it goes on with the others. */
  #link: Link | undefined;
  #ended: Error | undefined;
  #wake: () => void = () => undefined;
  #sendingSince: number | undefined;

  constructor(position: Position, options: WatcherOptions) {
    this.#position = position;
    this.#options = options;
  }

  get position(): Position {
    return this.#position;
  }

  /** count is how many changes were read for all up to where this watcher is. */
  get count(): number {
    return this.#link?.count ?? 0;
  }

  /** isAtEnd tells whether it has taken everything that was read. */
  get isAtEnd(): boolean {
    return this.#link !== undefined && this.#link.next === undefined && this.#sendingSince === undefined;
  }

  get sendingSince(): number | undefined {
    return this.#sendingSince;
  }

  /** replay reads a page for this watcher alone. */
  async replay(): Promise<void> {
    try {
      this.#replayed = await this.#options.missed(this.#position);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  async next(ms: number): Promise<FeedSlice | undefined> {
    const end = this.#options.timers.monotonicMs() + ms;
    for (;;) {
      if (this.#ended !== undefined) throw this.#ended;
      const slice = this.#take();
      if (slice !== undefined) return slice;
      if (this.#link === undefined) this.#link = this.#options.join(this);
      if (this.#link === undefined) await this.replay();
      else if (!(await this.#awoken(end - this.#options.timers.monotonicMs()))) return undefined;
    }
  }

  sending(isSending: boolean): void {
    this.#sendingSince = isSending ? this.#options.timers.monotonicMs() : undefined;
  }

  wake(): void {
    this.#wake();
  }

  /** end lets go of what is kept for the watcher, who learns of it when it asks for more. */
  end(error: Error): void {
    this.#ended ??= error;
    this.#replayed = [];
    this.#link = undefined;
    this.#options.leave(this);
    this.#wake();
  }

  close(): void {
    this.end(new Error('the watch was closed'));
  }

  /** #take is the next slice that holds something new; undefined if there is none yet. */
  #take(): FeedSlice | undefined {
    for (let slice = this.#follow(); slice !== undefined; slice = this.#follow()) {
      if (!isAfter(slice.end, this.#position)) continue;
      const rest = restOf(slice, this.#position);
      this.#position = slice.end;
      return rest;
    }
    return undefined;
  }

  #follow(): FeedSlice | undefined {
    const replayed = this.#replayed.shift();
    if (replayed !== undefined || this.#link?.next === undefined) return replayed;
    this.#link = this.#link.next;
    return this.#link.slice;
  }

  /** #awoken waits for more to be there; false if that takes too long. */
  async #awoken(ms: number): Promise<boolean> {
    if (ms <= 0) return false;
    this.#options.idle();
    return new Promise((resolve) => {
      const timer = this.#options.timers.after(ms, () => {
        this.#wake = () => undefined;
        resolve(false);
      });
      this.#wake = () => {
        this.#wake = () => undefined;
        timer.cancel();
        resolve(true);
      };
    });
  }
}

/** linkAt is the beginning of a chain that goes on after a revision. */
function linkAt({ epoch, revision }: Head): Link {
  return { slice: { items: [], end: { epoch, revision, skip: 0 } }, count: 0, next: undefined };
}

function epochChanged(): KeywardError {
  return new KeywardError('EPOCH_CHANGED', 'The changes have another history since.');
}

function tooSlow(): KeywardError {
  return new KeywardError('WATCH_TOO_SLOW', 'Changes are taken more slowly than they are made.');
}
