import type { EventEmitter } from 'node:events';
import { constants, type Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { PeriodicTask } from '../../lib/periodic-task.js';
import type { ConnectionCounts } from '../../telemetry/connection-metrics.js';
import { Connection } from './connection.js';
import type { ConnectionLimits } from './connection-limits.js';
import type { RequestBody } from './request-body.js';

export interface ConnectionsOptions {
  readonly limits: ConnectionLimits;
  readonly counts: ConnectionCounts;
  /** Is told of every new interval. */
  readonly onInterval: () => void;
  /** Is told of every connection on which HTTP/2 begins. */
  readonly onSession: (connection: Connection) => void;
  /** Is told of every connection that has ended. */
  readonly onEnd: (connection: Connection) => void;
  /** Ends a call whose request did not come in time. */
  readonly onOverdue: (body: RequestBody) => void;
  /** Milliseconds of an interval; a second if not given. */
  readonly intervalMs?: number;
}

/** Time is counted in these: a timer for each call would cost each call. */
const INTERVAL_MS = 1_000;
/** Intervals that a connection has to show good credentials, or to make a call that needs none. */
const STRANGER_INTERVALS = 20;
/** Intervals that the other end has to close a connection without calls; then it is cut off. */
const CLOSING_INTERVALS = 2;
/** Intervals that a client has to take the end of a stream without an end, when the service stops. */
const ENDING_INTERVALS = 1;
const MAX_MISUSES = 20;
/** Connections above the limits that are kept to tell them so. */
const MAX_SURPLUS = 16;

/**
 * Connections holds all connections and limits them. One that has shown nothing makes room for the next, the longest
 * first; then one that has only called open methods, or has been idle. Only where all have calls under way is a new one refused.
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #byPeer = new Map<string, Connection>();
  readonly #bySession = new WeakMap<Http2Session, Connection>();
  readonly #byAddress = new Map<string, Set<Connection>>();
  /** Those that have shown nothing so far, or had not when they were last looked at; the longest first. */
  readonly #strangers = new Set<Connection>();
  readonly #surplus = new Set<Connection>();
  readonly #sweeping = new PeriodicTask(() => {
    this.#sweep();
    return Promise.resolve();
  });
  #interval = 0;
  #leavingSince = Infinity;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** interval is the number of the present interval. */
  get interval(): number {
    return this.#interval;
  }

  /** guard takes the connections of a listening HTTP/2 server from now on. */
  guard(listening: EventEmitter): void {
    // Before the server itself: there is to be room when it makes a session.
    listening.prependListener('connection', (socket: Socket) => {
      this.#connected(socket);
    });
    listening.prependListener('session', (session: Http2Session) => {
      const { remoteAddress, remotePort } = session.socket;
      const connection = this.#byPeer.get(peerOf(remoteAddress, remotePort));
      if (connection === undefined) session.destroy();
      else {
        connection.opened(session);
        this.#options.onSession(connection);
        this.#bySession.set(session, connection);
      }
    });
    this.#sweeping.start(this.#options.intervalMs ?? INTERVAL_MS);
  }

  /** all are those that are open, the oldest first. */
  get all(): Iterable<Connection> {
    return this.#byPeer.values();
  }

  /** of is the connection of a session; undefined if it has ended already. */
  of(session: Http2Session | undefined): Connection | undefined {
    return session === undefined ? undefined : this.#bySession.get(session);
  }

  /** retire closes a connection whose client does what no client should, once its calls have ended. */
  retire(connection: Connection): void {
    if (connection.closingSince !== undefined) return;
    this.#options.counts.ended.misuse += 1;
    connection.close(this.#interval);
  }

  /** misused tells of a call that sent too much. Where many do and none is let in between, the connection is cut off. */
  misused(connection: Connection): void {
    connection.misused(this.#interval);
    if (connection.misuses !== MAX_MISUSES) return;
    this.#options.counts.ended.misuse += 1;
    connection.destroy(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  /**
   * leave lets nobody hold up the service when it stops. It cuts off who has shown nothing, at once; then who has no call
   * under way and does not hang up, and streams whose clients do not read so far that they see the end.
   */
  leave(): void {
    this.#leavingSince = this.#interval;
    for (const connection of [...this.#byPeer.values()]) {
      if (connection.trust === 'stranger' && !connection.isBusy) connection.socket.destroy();
    }
  }

  /** stop ends the connections that have no session, which nobody else would end. */
  async stop(): Promise<void> {
    await this.#sweeping.stop();
    for (const connection of this.#byPeer.values()) connection.destroy(constants.NGHTTP2_NO_ERROR);
  }

  /** use tells how many there are. */
  get use(): { readonly authenticated: number; readonly unauthenticated: number } {
    let authenticated = 0;
    for (const { trust } of this.#byPeer.values()) if (trust === 'caller') authenticated += 1;
    return { authenticated, unauthenticated: this.#byPeer.size - authenticated };
  }

  #connected(socket: Socket): void {
    const { remoteAddress, remotePort } = socket;
    if (remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    const { limits, counts } = this.#options;
    const connection = new Connection(socket, this.#interval);
    const ofAddress = this.#byAddress.get(remoteAddress) ?? new Set();
    const hasRoom =
      this.#makeRoom(ofAddress.size - limits.perPeer, ofAddress, 'peer_limit') &&
      this.#makeRoom(this.#byPeer.size - this.#surplus.size - limits.inAll, undefined, 'limit');
    this.#byPeer.set(peerOf(remoteAddress, remotePort), connection);
    if (hasRoom) {
      this.#byAddress.set(remoteAddress, ofAddress.add(connection));
      this.#strangers.add(connection);
      counts.accepted += 1;
    } else {
      this.#keepToRefuse(connection);
    }
    socket.once('close', () => {
      this.#forget(connection);
    });
  }

  #forget(connection: Connection): void {
    const { address, peer } = connection;
    if (this.#byPeer.get(peer) === connection) this.#byPeer.delete(peer);
    const ofAddress = this.#byAddress.get(address);
    ofAddress?.delete(connection);
    if (ofAddress?.size === 0) this.#byAddress.delete(address);
    this.#strangers.delete(connection);
    this.#surplus.delete(connection);
    this.#options.onEnd(connection);
  }

  /** #makeRoom ends one connection where there are as many as there may be. Returns false if it found none. */
  #makeRoom(excess: number, among: Set<Connection> | undefined, why: 'limit' | 'peer_limit'): boolean {
    if (excess < 0) return true;
    const { ended } = this.#options.counts;
    const least = this.#leastUseful(among);
    if (least === undefined) {
      ended[why] += 1;
      return false;
    }
    ended.evicted += 1;
    least.destroy(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    // Its socket closes a little later, and it is not to be chosen again.
    this.#forget(least);
    return true;
  }

  #leastUseful(among: Set<Connection> | undefined): Connection | undefined {
    const candidates = among ?? this.#byPeer.values();
    if (among === undefined) {
      for (const connection of this.#strangers) {
        if (connection.trust === 'stranger') return connection;
        this.#strangers.delete(connection);
      }
    }
    let least: Connection | undefined;
    for (const connection of candidates) {
      if (connection.isSurplus || (least !== undefined && !isLessUseful(connection, least))) continue;
      if (connection.trust !== 'caller' || !connection.isBusy) least = connection;
    }
    return least;
  }

  /** #keepToRefuse keeps one too many, for as long as it takes to tell it so. */
  #keepToRefuse(connection: Connection): void {
    connection.isSurplus = true;
    this.#surplus.add(connection);
    if (this.#surplus.size <= MAX_SURPLUS) return;
    const [first] = this.#surplus;
    if (first === undefined) return;
    first.destroy(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    this.#forget(first);
  }

  #sweep(): void {
    this.#interval += 1;
    this.#options.onInterval();
    for (const connection of [...this.#byPeer.values()]) this.#look(connection);
  }

  #look(connection: Connection): void {
    const { limits, counts, onOverdue } = this.#options;
    const due = this.#interval - limits.requestSeconds - 1;
    const mustEnd = this.#interval - this.#leavingSince > ENDING_INTERVALS;
    if (connection.isPaused) {
      connection.readSince = this.#interval;
      connection.activeAt = this.#interval;
    }
    connection.regulate();
    const isLate = connection.readSince <= due;
    const calls = connection.eachCall((body) => {
      // What has not been read is not the client's fault.
      if (isLate && body?.isOverdue(due) === true) onOverdue(body);
      body?.closeIfLeft(this.#interval - 1);
      if (mustEnd && body?.rule.lasts === true) body.stream.close(constants.NGHTTP2_CANCEL);
    });
    connection.noticeClosing(this.#interval);
    const { trust, closingSince, misusedAt } = connection;
    if (calls > 0) connection.activeAt = this.#interval;
    const isIdle = calls === 0 && this.#interval - connection.activeAt > 1;
    if (isIdle && this.#leavingSince < this.#interval) {
      connection.socket.destroy();
    } else if (trust === 'stranger') {
      if (this.#interval - connection.readSince <= STRANGER_INTERVALS) return;
      counts.ended.unauthenticated += 1;
      connection.destroy(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    } else if (closingSince !== undefined) {
      if (calls === 0 && this.#interval - closingSince > CLOSING_INTERVALS) connection.socket.destroy();
    } else if (calls === 0 && misusedAt !== undefined && this.#interval - misusedAt > STRANGER_INTERVALS) {
      this.retire(connection);
    } else if (calls === 0 && this.#interval - connection.activeAt > limits.idleSeconds) {
      counts.ended.idle += 1;
      connection.close(this.#interval);
    }
  }
}

/** USEFULNESS orders connections: those of the lower number make room first. */
const USEFULNESS = { stranger: 0, visitor: 1, caller: 2 };

function isLessUseful(a: Connection, b: Connection): boolean {
  const difference = USEFULNESS[a.trust] - USEFULNESS[b.trust];
  return difference < 0 || (difference === 0 && a.activeAt < b.activeAt);
}

function peerOf(address: string | undefined, port: number | undefined): string {
  return `${address ?? 'unknown'}:${port ?? ''}`;
}
