import { isUnsent, KeywardCallError, toCallError } from './call-error.js';
import { DEFAULT_SERVER } from './channel.js';
import type { ChannelSettings } from './channel-settings.js';
import { deadlineIn, systemClocks } from './clock.js';
import { CONNECT_RULES } from './connect-rules.js';
import { tokenSource, type TokenOptions, type TokenSource } from './credentials.js';
import { Metadata } from './grpc-js.js';
import { checkOptions } from './options.js';
import { isPassing, mayRepeat, timeoutOf, waitMs } from './safety.js';
import { Server } from './server.js';
import { StatusCode } from './status-code.js';

/** After how long another server is asked too, if a call may be repeated and is not answered. */
const HEDGE_AFTER_MS = 1_000;

export interface ConnectOptions extends TokenOptions, ChannelSettings {
  /**
   * One host:port of the service, or several, `127.0.0.1:50051` if not given. Calls go to all in turn, and to all addresses that a
   * name stands for. On loopback (127.0.0.0/8, ::1, localhost, a Unix socket) the channel is plaintext unless `tls`, `ca` or
   * `cert` is given; anywhere else it is TLS unless `plaintext` is.
   */
  readonly servers?: string | readonly string[];
  /**
   * Milliseconds that a call may take with all its repetitions. If not given, 300000 for those that may delete any number of
   * tokens (RevokeUserTokens, DeleteUser, DeleteUserProfile, DeleteAccount) and 10000 for others. Streams have no limit.
   */
  readonly timeoutMs?: number;
  /**
   * Whether calls that fail with UNAVAILABLE are made again, until their time is over, where that cannot do anything twice:
   * those that only read, those with a `requestId`, and those that were never sent. True if not given.
   */
  readonly retry?: boolean;
  /** Metadata for every call. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** CallOptions are those of one call. */
export interface CallOptions {
  /** Ends the call; it then fails with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Milliseconds that the call may take; a stream has no limit unless it is given one. */
  readonly timeoutMs?: number;
  /** Metadata besides that of the connection. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** WireMethod is a generated method, as far as calls need it. */
export interface WireMethod<Request = never, Response = unknown> {
  readonly path: string;
  requestSerialize(value: Request): Uint8Array;
  responseDeserialize(bytes: Uint8Array): Response;
}

/** DuplexCall is an open stream in both directions. */
export interface DuplexCall<Request, Response> extends AsyncIterable<Response> {
  /** write tells whether there is room for more; `drain` tells when there is room again. */
  write(request: Request): boolean;
  /** end says that there is no more to come from this side. */
  end(): unknown;
  cancel(): void;
  on(event: 'data', listener: (response: Response) => void): this;
  on(event: 'error', listener: (error: Error) => void): this;
  on(event: 'end', listener: () => void): this;
  once(event: 'drain', listener: () => void): unknown;
}

/** Transport makes calls to the servers of one service, by turns, with the caller's own token. */
export class Transport {
  readonly #servers: readonly Server[];
  readonly #tokens: TokenSource;
  readonly #options: ConnectOptions;
  #turn = 0;

  /** @throws Error if an option is none, or the options contradict each other, or a file that they name cannot be read */
  constructor(options: ConnectOptions) {
    checkOptions('connect', options, CONNECT_RULES);
    const { servers = DEFAULT_SERVER } = options;
    const list = typeof servers === 'string' ? [servers] : [...new Set(servers)];
    if (list.length === 0) throw new Error('servers names none');
    this.#tokens = tokenSource(options);
    this.#servers = list.map((server) => new Server(server, options));
    this.#options = options;
  }

  /** unary makes a call, again where that is safe and may help. */
  async unary<Request extends object, Response>(
    method: WireMethod<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): Promise<Response> {
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs ?? timeoutOf(method.path);
    const until = systemClocks.monotonicMs() + timeoutMs;
    const repeatable = this.#options.retry !== false && mayRepeat(method.path, request);
    let isTokenFresh = false;
    for (let attempt = 0, failed: Server | undefined; ; attempt += 1) {
      const server = this.#next(failed);
      try {
        return await this.#ask(server, method, request, { ...options, until, repeatable });
      } catch (error) {
        if (!(error instanceof KeywardCallError)) throw error;
        if (error.code === StatusCode.UNAUTHENTICATED && !isTokenFresh && this.#tokens.refused()) {
          isTokenFresh = true;
          continue;
        }
        const mayHelp = repeatable ? isPassing(error) : this.#options.retry !== false && isUnsent(error);
        const wait = waitMs(attempt, Math.random());
        if (!mayHelp || systemClocks.monotonicMs() + wait >= until) throw error;
        await pause(wait, options.signal);
        failed = server;
      }
    }
  }

  /** messages makes a call that is answered by a stream. It is cancelled if the iteration ends early. */
  async *messages<Request, Response>(
    method: WireMethod<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): AsyncGenerator<Response> {
    const metadata = await this.#metadata(options);
    const { path, serialize, deserialize } = codecOf(method);
    const { client } = this.#next();
    const call = client.makeServerStreamRequest(
      path,
      serialize,
      deserialize,
      request,
      metadata,
      limitOf(options),
    );
    yield* received<Response>(call, options.signal);
  }

  /** exchange sends requests, each when there is room for it, while it yields the answers. */
  async *exchange<Request, Response>(
    method: WireMethod<Request, Response>,
    requests: AsyncIterable<Request>,
    options: CallOptions = {},
  ): AsyncGenerator<Response> {
    const { call } = await this.duplex(method, options);
    const iterator = requests[Symbol.asyncIterator]();
    let failure: { readonly error: unknown } | undefined;
    send(call, iterator).catch((error: unknown) => {
      failure = { error };
      call.cancel();
    });
    try {
      yield* received<Response>(call, options.signal);
    } catch (error) {
      throw failure === undefined ? error : failure.error;
    } finally {
      // How the requests end that nobody takes is nobody's concern any more.
      iterator.return?.().catch(() => undefined);
    }
  }

  /** duplex opens a stream in both directions, with another server than the one to be left, if there is another. */
  async duplex<Request, Response>(
    method: WireMethod<Request, Response>,
    options: CallOptions = {},
    left?: Server,
  ): Promise<{ readonly call: DuplexCall<Request, Response>; readonly server: Server }> {
    const metadata = await this.#metadata(options);
    const server = this.#next(left);
    const { path, serialize, deserialize } = codecOf(method);
    const call = server.client.makeBidiStreamRequest(
      path,
      serialize,
      deserialize,
      metadata,
      limitOf(options),
    );
    return { call, server };
  }

  close(): void {
    for (const server of this.#servers) server.close();
  }

  /** next is the next in turn that is not known to be out of reach, and another than the one that failed, if there is one. */
  #next(failed?: Server): Server {
    this.#turn += 1;
    const ranked = this.#servers.map((server) => ({
      server,
      rank: server.rank + (server === failed ? 0.5 : 0),
    }));
    const least = Math.min(...ranked.map(({ rank }) => rank));
    const best = ranked.filter(({ rank }) => rank === least);
    const next = best[this.#turn % best.length];
    if (next === undefined) throw new Error('there is no server');
    return next.server;
  }

  /** ask makes a call once, and asks another server too where that does no harm and the first does not answer. The first answer counts. */
  async #ask<Request, Response>(
    server: Server,
    method: WireMethod<Request, Response>,
    request: Request,
    options: AskOptions,
  ): Promise<Response> {
    const { signal, repeatable } = options;
    const metadata = await this.#metadata(options);
    signal?.throwIfAborted();
    const attempts: Attempt<Response>[] = [];
    let hedge: NodeJS.Timeout | undefined;
    const answer = new Promise<Response>((resolve) => {
      let failures = 0;
      const begin = (asked: Server): void => {
        const attempt = attemptOf(asked, method, request, metadata, options);
        attempts.push(attempt);
        attempt.answer.then(resolve, (error: unknown) => {
          failures += 1;
          const isFinal = error instanceof KeywardCallError && !isPassing(error);
          if (isFinal || failures === attempts.length) resolve(attempt.answer);
        });
      };
      begin(server);
      if (repeatable && this.#servers.length > 1)
        hedge = setTimeout(() => begin(this.#next(server)), HEDGE_AFTER_MS);
    });
    try {
      return await answer;
    } finally {
      clearTimeout(hedge);
      for (const attempt of attempts) attempt.cancel();
    }
  }

  async #metadata(options: CallOptions): Promise<Metadata> {
    const metadata = new Metadata();
    for (const [key, value] of Object.entries({ ...this.#options.metadata, ...options.metadata }))
      metadata.set(key, value);
    const token = await this.#tokens.get();
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
    return metadata;
  }
}

interface AskOptions extends CallOptions {
  /** When its time is over, by the monotonic clock. */
  readonly until: number;
  /** Whether the call does no harm when it is made twice. */
  readonly repeatable: boolean;
}

/** Attempt is a call that has been made to one server. */
interface Attempt<Response> {
  readonly answer: Promise<Response>;
  cancel(): void;
}

function attemptOf<Request, Response>(
  server: Server,
  method: WireMethod<Request, Response>,
  request: Request,
  metadata: Metadata,
  { signal, until }: AskOptions,
): Attempt<Response> {
  const { path, serialize, deserialize } = codecOf(method);
  // The wall clock may have been set since the call began.
  const deadline = deadlineIn(until - systemClocks.monotonicMs());
  let cancel = (): void => undefined;
  const answer = new Promise<Response>((resolve, reject) => {
    const call = server.client.makeUnaryRequest(
      path,
      serialize,
      deserialize,
      request,
      metadata.clone(),
      { deadline },
      (error, response) => {
        signal?.removeEventListener('abort', cancel);
        if (error === null) resolve(response as Response);
        else reject(signal?.aborted === true ? (signal.reason as Error) : toCallError(error));
      },
    );
    cancel = () => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
  });
  return { answer, cancel: () => cancel() };
}

/** codecOf gives what the library makes a call of a method with. */
function codecOf<Request, Response>(
  method: WireMethod<Request, Response>,
): {
  readonly path: string;
  readonly serialize: (request: Request) => Buffer;
  readonly deserialize: (bytes: Buffer) => Response;
} {
  return {
    path: method.path,
    serialize: (request) => {
      const bytes = method.requestSerialize(request);
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    },
    deserialize: (bytes) => method.responseDeserialize(bytes),
  };
}

function limitOf({ timeoutMs }: CallOptions): { deadline?: number } {
  return timeoutMs === undefined ? {} : { deadline: deadlineIn(timeoutMs) };
}

interface Received extends AsyncIterable<unknown> {
  cancel(): void;
}

async function* received<Response>(
  call: Received,
  signal: AbortSignal | undefined,
): AsyncGenerator<Response> {
  const abort = (): void => call.cancel();
  if (signal?.aborted === true) abort();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    yield* call as AsyncIterable<Response>;
  } catch (error) {
    signal?.throwIfAborted();
    throw toCallError(error as Error);
  } finally {
    signal?.removeEventListener('abort', abort);
    call.cancel();
  }
}

/** send sends requests as fast as they are taken. */
async function send<Request>(
  call: DuplexCall<Request, unknown>,
  requests: AsyncIterator<Request>,
): Promise<void> {
  for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
    const hasRoom = call.write(next.value);
    if (!hasRoom) await new Promise<void>((resolve) => call.once('drain', resolve));
  }
  call.end();
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      if (signal?.aborted === true) reject(signal.reason as Error);
      else resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end, { once: true });
  });
}
