import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { isConnected, openStreams, startReading, stopReading } from '../library.js';
import { authContextOf } from '../auth-context.js';
import type { Credentials } from '../authenticator.js';
import { LimitedShare, type Share } from './collected-bytes.js';
import { bodyOf, ignore } from './guarded-stream.js';
import { ReadingShare, type Source } from './turns.js';

/** ConnectionTrust is what a connection has shown: nothing yet, a call to an open method, or good credentials. */
export type ConnectionTrust = 'stranger' | 'visitor' | 'caller';

/** What a connection may hold of calls to open methods: their headers, bodies that are not complete, and streams without an end. */
export const MAX_OPEN_CALLS = 64 * 1024;
/** What a connection of callers may hold of calls whose credentials are being judged. One of strangers is not read on at all. */
const MAX_WAITING = 64 * 1024;

/** Connection is one TCP connection, and the HTTP/2 session on it. */
export class Connection implements Source {
  readonly socket: Socket;
  /** The other end's address. */
  readonly address: string;
  /** Address and port, as the library writes them. */
  readonly peer: string;
  /** What its calls to open methods may hold. */
  readonly openShare = new LimitedShare(MAX_OPEN_CALLS);
  /** True for one too many: its calls are refused. */
  isSurplus = false;
  /** The interval in which it last had a call. */
  activeAt: number;
  /** The interval from which on it has been closing; undefined if it is not. */
  closingSince: number | undefined;
  /** The interval in which a call on it sent too much, if none has been let in since. */
  misusedAt: number | undefined;
  /** How many did. */
  misuses = 0;
  /** What was read of it lately. */
  readonly share = new ReadingShare();
  /** The interval from which on it has been read without waiting for a turn. */
  readSince: number;
  #trust: ConnectionTrust = 'stranger';
  #session: Http2Session | undefined;
  #authContext: Credentials['authContext'] | undefined;
  #waiting = 0;
  readonly #early = new LimitedShare(Infinity);
  /** True while it waits for its turn. */
  #isPaused = false;
  #isStopped = false;

  constructor(socket: Socket, interval: number) {
    this.socket = socket;
    this.address = socket.remoteAddress ?? 'unknown';
    this.peer = `${this.address}:${socket.remotePort ?? ''}`;
    this.readSince = interval;
    this.activeAt = interval;
  }

  get trust(): ConnectionTrust {
    return this.#trust;
  }

  /** Who TLS says is at the other end. */
  get authContext(): Credentials['authContext'] {
    return (this.#authContext ??= authContextOf(this.#session?.socket));
  }

  /** opened tells of the session. */
  opened(session: Http2Session): void {
    this.#session = session;
    this.regulate();
  }

  /** isPaused tells whether it waits for its turn. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  pause(): void {
    this.#isPaused = true;
    this.regulate();
  }

  resume(): void {
    this.#isPaused = false;
    this.regulate();
  }

  /**
   * probe ends the connection if its other end has gone, which it cannot be seen to do while it is not read. Where that was in
   * good order, a PING makes the other system tell so.
   */
  probe(): void {
    if (this.#session === undefined || this.#session.destroyed) return;
    if (!isConnected(this.#session)) {
      this.socket.destroy();
      return;
    }
    this.#session.ping(ignore);
    // Node begins to read when it has written over TLS.
    setImmediate(() => {
      this.regulate();
    });
  }

  /** misused tells of a call that sent too much: without another that is good the connection is closed. */
  misused(interval: number): void {
    this.misusedAt = interval;
    this.misuses += 1;
  }

  /** visited tells of a call to an open method. */
  visited(): void {
    this.misusedAt = undefined;
    this.misuses = 0;
    if (this.#trust === 'stranger') this.#trust = 'visitor';
  }

  /** recognized tells of good credentials. */
  recognized(): void {
    this.misusedAt = undefined;
    this.misuses = 0;
    if (this.#trust === 'caller') return;
    this.#trust = 'caller';
    this.regulate();
  }

  /** Bears what came of calls whose credentials are being judged. */
  readonly early: Share = {
    take: (bytes) => {
      this.#early.take(bytes);
      this.regulate();
      return true;
    },
    give: (bytes) => {
      this.#early.give(bytes);
      this.regulate();
    },
  };

  /** judging tells of one more call whose credentials are being judged, or of one less. */
  judging(change: 1 | -1): void {
    this.#waiting += change;
    this.regulate();
  }

  /** eachCall visits the bodies of the calls that are open, and tells how many there are. */
  eachCall(visit: (body: ReturnType<typeof bodyOf>) => void): number {
    if (this.#session === undefined || this.#session.destroyed) return 0;
    let calls = 0;
    for (const stream of [...openStreams(this.#session)]) {
      calls += 1;
      visit(bodyOf(stream));
    }
    return calls;
  }

  /** isBusy tells whether it has calls. */
  get isBusy(): boolean {
    return this.eachCall(() => undefined) > 0;
  }

  /** noticeClosing takes note if the library is closing it, as it does when the service stops. */
  noticeClosing(interval: number): void {
    if (this.#session?.closed === true) this.closingSince ??= interval;
  }

  /** close lets the calls under way end, and takes no more. */
  close(interval: number): void {
    this.closingSince ??= interval;
    if (this.#session === undefined) this.socket.destroy();
    else if (!this.#session.closed) this.#session.close();
  }

  /** destroy ends it at once; the session still tells its client why. */
  destroy(code: number): void {
    const isClosing = this.#session === undefined || this.#session.closed || this.#session.destroyed;
    this.#session?.destroy(undefined, code);
    // What is closing already has told why. Node waits for the other end to close it too, for as long as that likes.
    if (isClosing) this.socket.destroy();
  }

  /**
   * regulate stops the reading of the connection while it waits for its turn, and while nobody on it is known and some
   * call's credentials are being judged, so that no more than what was read at once, 64 KiB, is held for it.
   */
  regulate(): void {
    const isUnknown = this.#trust !== 'caller' || this.#early.held > MAX_WAITING;
    const mustStop = this.#isPaused || (this.#waiting > 0 && isUnknown);
    if (this.#session === undefined || (!mustStop && !this.#isStopped)) return;
    this.#isStopped = mustStop;
    // Again each time: Node starts to read by itself when it has written something.
    if (mustStop) stopReading(this.#session);
    else this.#isStopped = !startReading(this.#session);
  }
}
