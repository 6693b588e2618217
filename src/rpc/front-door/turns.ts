const TICK_MS = 20;
/** When the event loop has read requests for so long at once, too much is asked: connections begin to take turns. */
const OVERLOAD_MS = 300;
/** They need not, where reading all of them would take less than this. */
const CALM_MS = 200;
/** From then on, while it reads for less than this at once, more connections are read. */
const READING_MS = 50;
/** And when it has read for so long, those that it has not come to wait. */
const MAX_READING_MS = 100;
/** How long a turn lasts. The calls that waited for it are mostly answered late, those that follow in time. */
const TURN_MS = 800;
/** A connection that brings no more calls than this at once is read always. */
const FEW_CALLS = 4;
/** What a connection counts for that nobody knows: as many as it may have. */
const MAX_CALLS = 100;
/** How often it is looked whether a connection that waits is still there; more seldom the longer it waits. */
const PROBE_MS = 300;
const PROBES_OF_A_WAIT = 20;
/** The clock is asked once in so many calls. */
const CALLS_BETWEEN_LOOKS = 16;

/** Source is a connection, as far as turns go. */
export interface Source {
  readonly share: ReadingShare;
  /** pause has what comes wait until `resume`. It is repeated, as Node may begin to read by itself. */
  pause(): void;
  resume(): void;
  /** probe ends it if the other end has gone: nothing else finds that out, and all that it sent would be answered in its turn. */
  probe(): void;
}

/** ReadingShare is what was read of a connection. */
export class ReadingShare {
  /** The round in which it was last read; undefined if it never was. */
  round: number | undefined;
  /** Calls in that round; 0 if it has not been read since it was let in. */
  calls = 0;
  /** When its turn began, if it has one. */
  begunAt = 0;
  /** From when on it has waited for a turn, until it has had it. */
  waitsSince: number | undefined;
  /** When it was last known to be there, while it waits. */
  probedAt = 0;
}

export interface TurnsOptions<Connection extends Source> {
  /** All that are open. */
  readonly connections: () => Iterable<Connection>;
  /** Milliseconds of a clock that never goes back; that of the process if not given. */
  readonly now?: () => number;
}

/**
 * Turns lets busy connections take turns when more is asked than can be answered. Were all of them read, each answer would
 * come after all others, and all too late. So only as many are read as the event loop comes round to within a tenth of a
 * second; what the others send waits in their sockets. Connections with few calls are read always, and new ones come first.
 */
export class Turns<Connection extends Source> {
  readonly #connections: () => Iterable<Connection>;
  readonly #now: () => number;
  /** Those that bring many calls, and have their turn. */
  readonly #busy = new Set<Connection>();
  /** Those that are not read. */
  readonly #waiting = new Set<Connection>();
  #timer: NodeJS.Timeout | undefined;
  #round = 0;
  /** Calls in this round. */
  #calls = 0;
  #readingSince = 0;
  #isCut = false;
  /** True if a connection was opened in this round. */
  #hasNew = false;
  /** True while not even the busy ones are read. */
  #isResting = false;
  /** Milliseconds that were spent on reading when it was last done. */
  #spent = 0;
  /** And for each call. */
  #perCall = 0;
  /** How many are let in next. */
  #step = 1;
  #few = FEW_CALLS;
  #ended = 0;

  constructor({ connections, now = () => performance.now() }: TurnsOptions<Connection>) {
    this.#connections = connections;
    this.#now = now;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.nextRound();
    }, TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** waiting is how many connections are not read. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** ended is how many turns have ended. */
  get ended(): number {
    return this.#ended;
  }

  /** opened tells of a new connection. */
  opened(connection: Connection): void {
    this.#hasNew = true;
    if (this.waiting > 0) this.#wait(connection, this.#now());
  }

  /** left tells that a connection has ended. */
  left(connection: Connection): void {
    this.#busy.delete(connection);
    this.#waiting.delete(connection);
  }

  /** arrived tells of a call. */
  arrived({ share }: Connection): void {
    if (share.round !== this.#round) {
      share.round = this.#round;
      share.calls = 0;
    }
    share.calls += 1;
    if (this.#calls % CALLS_BETWEEN_LOOKS === 0) this.#look();
    this.#calls += 1;
  }

  #look(): void {
    const now = this.#now();
    if (this.#calls === 0) this.#readingSince = now;
    const limit = this.waiting === 0 ? OVERLOAD_MS : MAX_READING_MS;
    if (this.#isCut || now - this.#readingSince < limit) return;
    this.#isCut = true;
    for (const connection of this.#connections()) {
      const { round, calls } = connection.share;
      const isCalm = calls > 0 && calls <= this.#few;
      if (round !== this.#round && !isCalm) this.#wait(connection, now);
    }
  }

  /** nextRound begins another round through the connections. */
  nextRound(): void {
    const now = this.#now();
    if (!this.#isResting) {
      this.#spent = this.#calls === 0 ? 0 : now - this.#readingSince;
      if (this.#calls > 0) this.#perCall = this.#spent / this.#calls;
    }
    if (this.waiting === 0 && this.#spent < OVERLOAD_MS) {
      this.#rest(false);
      this.#busy.clear();
      this.#few = FEW_CALLS;
    } else {
      this.#findBusy(now);
      this.#endTurns(now);
      // Node takes one new connection in each turn of the event loop, and those are long where much is read.
      this.#rest(this.#hasNew && !this.#isResting);
      if (!this.#isResting) this.#letIn();
      for (const each of this.#waiting) this.#keepWaiting(each, now);
    }
    this.#round += 1;
    this.#calls = 0;
    this.#isCut = false;
    this.#hasNew = false;
  }

  /** #rest leaves the busy ones unread for a round, so that new ones are taken quickly, or reads them on. */
  #rest(isResting: boolean): void {
    if (isResting) for (const each of this.#busy) each.pause();
    else if (this.#isResting) for (const each of this.#busy) each.resume();
    this.#isResting = isResting;
  }

  #findBusy(now: number): void {
    let callsOfBusy = 0;
    for (const connection of this.#connections()) {
      const { share } = connection;
      if (share.round !== this.#round) continue;
      share.waitsSince = undefined;
      if (share.calls <= this.#few) continue;
      callsOfBusy += share.calls;
      if (this.#busy.has(connection) || this.#waiting.has(connection)) continue;
      share.begunAt = now;
      this.#busy.add(connection);
    }
    // Where many with few calls each are too much together, they take turns too.
    if (this.#spent > 2 * MAX_READING_MS && callsOfBusy < this.#calls / 2) this.#few >>= 1;
  }

  #endTurns(now: number): void {
    for (const connection of this.#busy) {
      if (now - connection.share.begunAt < TURN_MS) continue;
      this.#ended += 1;
      this.#wait(connection, now);
    }
  }

  #wait(connection: Connection, now: number): void {
    connection.share.waitsSince ??= now;
    if (!this.#waiting.has(connection)) connection.share.probedAt = now;
    this.#busy.delete(connection);
    this.#waiting.add(connection);
    connection.pause();
  }

  #keepWaiting(connection: Connection, now: number): void {
    const { share } = connection;
    const every = Math.max(PROBE_MS, (now - since(connection)) / PROBES_OF_A_WAIT);
    if (now - share.probedAt >= every) {
      share.probedAt = now;
      connection.probe();
    }
    connection.pause();
  }

  /** #demand is how long it would take to read all. */
  #demand(): number {
    let calls = 0;
    for (const { share } of this.#waiting) calls += share.calls === 0 ? MAX_CALLS : share.calls;
    return this.#spent + calls * this.#perCall;
  }

  /** #letIn lets those in that have waited longest, if there is time for more. */
  #letIn(): void {
    this.#step = this.#spent < READING_MS ? this.#step * 2 : 1;
    if (this.#demand() < CALM_MS) this.#step = this.waiting;
    const next = new Set<Connection>();
    // One that nobody knows may have one call only, and is not to wait for it.
    const unknown = [...this.#waiting].findLast(({ share }) => share.round === undefined);
    if (unknown !== undefined) next.add(unknown);
    if (this.#spent < READING_MS || this.#step > 1) {
      const longestFirst = [...this.#waiting].sort((a, b) => since(a) - since(b));
      for (const each of longestFirst.slice(0, this.#step)) next.add(each);
    }
    for (const connection of next) {
      this.#waiting.delete(connection);
      connection.share.calls = 0;
      connection.resume();
    }
  }
}

function since({ share }: Source): number {
  return share.waitsSince ?? 0;
}
