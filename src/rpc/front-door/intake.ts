/** How long the event loop may read requests before timers, the lease's among them, get their turn. */
const MAX_READING_MS = 40;
const TICK_MS = 10;
/** The clock is asked once in so many calls. */
const CALLS_BETWEEN_LOOKS = 16;

/** Source is a connection, as far as taking in goes. */
export interface Source {
  /** pause lets what comes wait until `resume`. */
  pause(): void;
  resume(): void;
}

export interface IntakeOptions {
  readonly connections: () => Iterable<Source>;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/**
 * Intake reads no more in one turn of the event loop than leaves room for everything else: while there is more to read,
 * the connections that were not read in a turn wait for the next one. The lease is renewed, and changes are acknowledged,
 * however much is asked. What clients send meanwhile waits in their sockets, not here.
 */
export class Intake {
  readonly #options: IntakeOptions;
  #timer: NodeJS.Timeout | undefined;
  #turnBegan: number;
  #calls = 0;
  #isCut = false;
  #cuts = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#turnBegan = options.now();
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
    this.#turnBegan = this.#options.now();
    if (!this.#isCut) return;
    this.#isCut = false;
    for (const connection of this.#options.connections()) connection.resume();
  }
}
