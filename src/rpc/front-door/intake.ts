/** How long the event loop may read requests before timers, the lease's among them, get their turn. */
const MAX_READING_MS = 40;
const TICK_MS = 10;
/** The clock is asked once in so many calls. */
const CALLS_BETWEEN_LOOKS = 16;
/** How long there may be more to read than is read in time, before clients are told to send less. */
const MAX_BACKLOG_MS = 100;
/** How long there must have been less, before they may send more. */
const CALM_MS = 1_000;
/** Calls that one connection may have under way: what the library announces, and the least that is announced under load. */
export const MAX_STREAMS = 100;
const MIN_STREAMS = 2;
/** As many calls in all are under way at any load, so that few connections are never held up. */
const MIN_STREAMS_IN_ALL = 256;
const LESS = 0.5;
const MORE = 1.5;

/** Source is a connection, as far as taking in goes. */
export interface Source {
  readonly isBusy: boolean;
  /** pause lets what comes wait until `resume`. */
  pause(): void;
  resume(): void;
  /** allowStreams tells the client how many calls it may have under way. */
  allowStreams(count: number): void;
}

export interface IntakeOptions {
  readonly connections: () => Iterable<Source>;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/**
 * Intake takes in no more than is answered in time: a request that waits here is of no use to its client once its deadline has
 * passed, and refusing it costs nearly as much as answering it. While a turn of the event loop takes too long, the
 * connections that have not been read in it wait for the next one, and while that lasts, clients are told to have fewer calls
 * under way on each connection. What they hold back themselves costs nothing here.
 */
export class Intake {
  readonly #options: IntakeOptions;
  #timer: NodeJS.Timeout | undefined;
  #turnBegan: number;
  #calls = 0;
  #isCut = false;
  #cuts = 0;
  /** Since when each turn has been cut short; undefined if the last one was not. */
  #backlogSince: number | undefined;
  /** When the number of streams was changed last, or the last backlog ended. */
  #steadySince: number;
  #streams = MAX_STREAMS;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#turnBegan = options.now();
    this.#steadySince = this.#turnBegan;
  }

  /** streams is how many calls a connection may have under way now. */
  get streams(): number {
    return this.#streams;
  }

  /** cuts is how often connections had to wait for the next turn. */
  get cuts(): number {
    return this.#cuts;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.turn();
    }, TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** opened tells of a new connection. */
  opened(connection: Source): void {
    if (this.#streams < MAX_STREAMS) connection.allowStreams(this.#streams);
    if (this.#isCut) connection.pause();
  }

  /** arrived tells of a call. */
  arrived(): void {
    this.#calls += 1;
    if (this.#calls % CALLS_BETWEEN_LOOKS > 0 || this.#isCut) return;
    if (this.#options.now() - this.#turnBegan < MAX_READING_MS) return;
    this.#isCut = true;
    this.#cuts += 1;
    for (const connection of this.#options.connections()) connection.pause();
  }

  /** turn begins another turn of the event loop. */
  turn(): void {
    const now = this.#options.now();
    this.#turnBegan = now;
    if (this.#isCut) {
      this.#isCut = false;
      this.#backlogSince ??= now;
      for (const connection of this.#options.connections()) connection.resume();
      if (now - Math.max(this.#backlogSince, this.#steadySince) > MAX_BACKLOG_MS) this.#allow(LESS, now);
    } else {
      if (this.#backlogSince !== undefined) this.#steadySince = now;
      this.#backlogSince = undefined;
      if (this.#streams < MAX_STREAMS && now - this.#steadySince > CALM_MS) this.#allow(MORE, now);
    }
  }

  #allow(change: number, now: number): void {
    this.#steadySince = now;
    const all = [...this.#options.connections()];
    const busy = all.reduce((count, connection) => count + (connection.isBusy ? 1 : 0), 0);
    const least = Math.max(MIN_STREAMS, Math.ceil(MIN_STREAMS_IN_ALL / Math.max(busy, 1)));
    const wanted = Math.ceil(this.#streams * change);
    const streams = Math.min(MAX_STREAMS, Math.max(least, wanted));
    if (streams === this.#streams) return;
    this.#streams = streams;
    for (const connection of all) connection.allowStreams(streams);
  }
}
