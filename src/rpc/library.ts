import { EventEmitter } from 'node:events';
import type {
  Http2Session,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  ServerHttp2Stream,
  ServerStreamResponseOptions,
} from 'node:http2';
import { Server as TlsServer } from 'node:tls';
import type { Server, ServerCredentials } from '@grpc/grpc-js';
import { systemClock } from '../lib/clock.js';

/**
 * What Keyward knows of the inside of grpc-js and of Node's HTTP/2: all of it is in this file. Where it must be as
 * expected, the service does not start otherwise (`takeStreams`); a test says that the installed versions are.
 */

/** StreamListener is told of each new stream of an HTTP/2 server. */
export type StreamListener = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
) => void;

/** listeningServers are the HTTP/2 servers that grpc-js has made, one for each address. */
export function listeningServers(server: Server): EventEmitter[] {
  const servers: unknown = Reflect.get(server, 'http2Servers');
  if (!(servers instanceof Map)) return [];
  return [...(servers as Map<unknown, unknown>).keys()].filter(
    (each): each is EventEmitter => each instanceof EventEmitter,
  );
}

/** replaceTls has the sockets of a server use other credentials for the connections to come. */
export function replaceTls(server: Server, credentials: ServerCredentials): void {
  const options = credentials._getSecureContextOptions();
  if (options === null) return;
  for (const each of listeningServers(server)) {
    if (each instanceof TlsServer) each.setSecureContext(options);
  }
}

/**
 * takeStreams puts a listener in the place of the library's own, which it is given: calling it hands a stream over as
 * if nobody had seen it before. Throws if the library is not as expected.
 */
export function takeStreams(
  listening: EventEmitter,
  make: (library: StreamListener) => StreamListener,
): void {
  const [library, ...others] = listening.listeners('stream');
  if (library === undefined || others.length > 0) {
    throw new Error(
      'this version of @grpc/grpc-js takes its streams in another way than the front door expects',
    );
  }
  listening.removeAllListeners('stream');
  listening.on('stream', make(library.bind(listening) as StreamListener));
}

/** setSessionOptions gives Node options for the HTTP/2 sessions of a server that the library does not know of. */
export function setSessionOptions(server: Server): void {
  const options: unknown = Reflect.get(server, 'commonServerOptions');
  if (typeof options === 'object' && options !== null) Object.assign(options, SESSION_OPTIONS);
}

const SESSION_OPTIONS = {
  /**
   * Header fields with spaces around them come in: Node drops them otherwise without a word, so that of credentials with a
   * space behind them nothing would be left, and a call with a client certificate besides would be that one's. Node can do so
   * from 22.17 and 24.2 on; an older one drops them.
   */
  strictFieldWhitespaceValidation: false,
  /** An other end that is not read for a while cannot answer PINGs. More than these are not sent. */
  maxOutstandingPings: 100,
};

/** streamStateOf is where Node keeps the open streams of a session; undefined if it is elsewhere. */
export function streamStateOf(session: object): { streams: object } | undefined {
  return Object.getOwnPropertySymbols(session)
    .filter(({ description }) => description === 'state')
    .map((symbol): unknown => Reflect.get(session, symbol))
    .find(hasStreams);
}

function hasStreams(state: unknown): state is { streams: object } {
  if (typeof state !== 'object' || state === null || !('streams' in state)) return false;
  const { streams } = state;
  // Not an instance of Map: Node keeps its own from what programs do to that class.
  return typeof streams === 'object' && streams !== null && 'size' in streams && Symbol.iterator in streams;
}

/** openStreams are the streams of a session that have not ended. Throws if Node keeps them elsewhere. */
export function openStreams(session: Http2Session): Iterable<ServerHttp2Stream> {
  const state = streamStateOf(session);
  if (state === undefined) {
    if (session.destroyed) return [];
    throw new Error('this version of Node keeps its streams elsewhere than the front door expects');
  }
  return (state.streams as ReadonlyMap<number, ServerHttp2Stream>).values();
}

/** stopReading has the bytes of a connection wait in its socket. Node keeps sockets of HTTP/2 from being paused. */
export function stopReading(session: Http2Session): void {
  const handle = handleOf(session);
  if (typeof handle?.readStop === 'function') Reflect.apply(handle.readStop, handle, []);
}

/**
 * startReading has them read again. Returns false while something is being written: Node does not read then, and would collect
 * what comes; it begins again by itself.
 */
export function startReading(session: Http2Session): boolean {
  const handle = handleOf(session);
  if (handle === undefined) return true;
  if (handle.writeQueueSize !== 0) return false;
  if (typeof handle.readStart === 'function') Reflect.apply(handle.readStart, handle, []);
  return true;
}

/** isConnected asks the system, which knows also of a connection that is not read that it was reset. */
export function isConnected(session: Http2Session): boolean {
  const handle = handleOf(session);
  return typeof handle?.getpeername !== 'function' || Reflect.apply(handle.getpeername, handle, [{}]) === 0;
}

/** SocketHandle is what stands for a socket of the system, or for TLS on one. */
interface SocketHandle {
  readonly readStart?: unknown;
  readonly readStop?: unknown;
  /** Bytes that the system has not taken yet. */
  readonly writeQueueSize?: unknown;
  /** Tells an error by its number, and success by 0. */
  readonly getpeername?: unknown;
}

function handleOf(session: Http2Session): SocketHandle | undefined {
  if (session.destroyed) return undefined;
  const handle: unknown = Reflect.get(session.socket, '_handle');
  return typeof handle === 'object' && handle !== null ? handle : undefined;
}

/** streamOf is the HTTP/2 stream of one of the library's calls; undefined if the library keeps it elsewhere. */
export function streamOf(call: object): object | undefined {
  const { call: inner } = call as { readonly call?: { readonly stream?: object } | null };
  return inner?.stream;
}

/** StreamState is what Node knows of a stream, as far as it matters here. */
interface StreamState {
  flags: number;
}

/** StreamHandle is the part of a stream that is not JavaScript. */
interface StreamHandle {
  respond?: (...passed: readonly unknown[]) => unknown;
}

/**
 * RepeatedResponse begins the responses of many streams with the same headers. Node copies, checks and joins them anew for each,
 * which takes a seventh of an answer from memory. So what it passes to the handle of one stream, and the flags that it
 * sets, are seen once, and done again for the others. Where Node is not as expected it does all itself, each time.
 */
export class RepeatedResponse {
  readonly #headers: OutgoingHttpHeaders;
  readonly #options: ServerStreamResponseOptions;
  #handleKey: symbol | undefined;
  #stateKey: symbol | undefined;
  #seen: { readonly passed: readonly unknown[]; readonly flags: number } | undefined;
  #isUnexpected = false;

  constructor(headers: OutgoingHttpHeaders, options: ServerStreamResponseOptions) {
    this.#headers = headers;
    this.#options = options;
  }

  /** isRepeated tells whether the next response need not be made anew. */
  get isRepeated(): boolean {
    return this.#seen !== undefined;
  }

  begin(stream: ServerHttp2Stream): void {
    const seen = this.#seen;
    const handle = seen && this.#handleOf(stream);
    const state = seen && this.#stateOf(stream);
    if (seen === undefined || handle?.respond === undefined || state === undefined) {
      this.#respond(stream);
      return;
    }
    state.flags |= seen.flags;
    const result = handle.respond(...seen.passed);
    if (typeof result === 'number' && result < 0) stream.destroy(new Error(`HTTP/2 error ${result}`));
  }

  /** #respond has Node do it, and looks on. */
  #respond(stream: ServerHttp2Stream): void {
    if (this.#isUnexpected) {
      stream.respond(this.#headers, this.#options);
      return;
    }
    this.#handleKey = keyOf(stream, 'kHandle');
    this.#stateKey = keyOf(stream, 'state');
    const handle = this.#handleOf(stream);
    const state = this.#stateOf(stream);
    const respond = handle?.respond;
    let passed: readonly unknown[] | undefined;
    if (handle !== undefined && respond !== undefined) {
      handle.respond = (...given) => {
        passed = given;
        return Reflect.apply(respond, handle, given);
      };
    }
    const before = state?.flags ?? 0;
    try {
      stream.respond(this.#headers, this.#options);
    } finally {
      if (passed !== undefined) delete handle?.respond;
    }
    this.#isUnexpected = passed === undefined || state === undefined;
    if (passed === undefined || state === undefined) return;
    this.#seen = { passed, flags: state.flags & ~before };
    // The time of day is in it, to the second.
    setTimeout(
      () => {
        this.#seen = undefined;
      },
      1_000 - (systemClock.now() % 1_000),
    ).unref();
  }

  #handleOf(stream: ServerHttp2Stream): StreamHandle | undefined {
    const handle: unknown = this.#handleKey && Reflect.get(stream, this.#handleKey);
    return typeof handle === 'object' && handle !== null ? handle : undefined;
  }

  #stateOf(stream: ServerHttp2Stream): StreamState | undefined {
    const state: unknown = this.#stateKey && Reflect.get(stream, this.#stateKey);
    const isKnown = typeof state === 'object' && state !== null && 'flags' in state;
    return isKnown && typeof state.flags === 'number' ? (state as StreamState) : undefined;
  }
}

function keyOf(stream: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(stream).find((symbol) => symbol.description === description);
}
