import {
  Client,
  connectivityState,
  Metadata,
  status,
  type ClientDuplexStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { KeywardCallError, toCallError } from './call-error.js';
import { channelArguments, DEFAULT_SERVER, type ChannelSettings } from './channel.js';
import { deadlineIn, systemClocks } from './clock.js';
import { tokenSource, type TokenOptions, type TokenSource } from './credentials.js';
import { isPassing, mayRepeat, timeoutOf, waitMs } from './safety.js';

/** How long a call that may be repeated waits for a connection, if there are other servers. */
const CONNECT_PATIENCE_MS = 3_000;

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
   * those that only read, and those with a `requestId`. True if not given.
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
  readonly requestSerialize: (value: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** Transport makes calls to the servers of one service, by turns, with the caller's own token. */
export class Transport {
  readonly #clients: readonly Client[];
  readonly #tokens: TokenSource;
  readonly #options: ConnectOptions;
  #turn = 0;

  /** @throws Error if the options contradict each other, or a file that they name cannot be read */
  constructor(options: ConnectOptions) {
    const { servers = DEFAULT_SERVER } = options;
    const list = typeof servers === 'string' ? [servers] : [...new Set(servers)];
    if (list.length === 0) throw new Error('servers names none');
    this.#tokens = tokenSource(options);
    this.#clients = list.map((server) => new Client(...channelArguments(server, options)));
    this.#options = options;
  }

  /** unary makes a call, again where that is safe and may help. */
  async unary<Request extends object, Response>(
    method: WireMethod<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): Promise<Response> {
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs ?? timeoutOf(method.path);
    const deadline = deadlineIn(timeoutMs);
    const repeatable = this.#options.retry !== false && mayRepeat(method.path, request);
    let isTokenFresh = false;
    for (let attempt = 0, failed: Client | undefined; ; attempt += 1) {
      const client = this.#next(failed);
      try {
        return await this.#attempt(client, method, request, { ...options, deadline, repeatable });
      } catch (error) {
        if (!(error instanceof KeywardCallError)) throw error;
        if (error.code === status.UNAUTHENTICATED && !isTokenFresh && this.#tokens.refused()) {
          isTokenFresh = true;
          continue;
        }
        if (!repeatable || !isPassing(error)) throw error;
        const wait = waitMs(attempt, Math.random());
        if (systemClocks.wallMs() + wait >= deadline) throw error;
        await pause(wait, options.signal);
        failed = client;
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
    const call = this.#next().makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
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
    left?: Client,
  ): Promise<{ readonly call: ClientDuplexStream<Request, Response>; readonly server: Client }> {
    const metadata = await this.#metadata(options);
    const server = this.#next(left);
    const call = server.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      metadata,
      limitOf(options),
    );
    return { call, server };
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  /** next is the next in turn that is not known to be out of reach, and another than the one that failed, if there is one. */
  #next(failed?: Client): Client {
    this.#turn += 1;
    const inTurn = this.#clients.map((_, at) => this.#clients[(this.#turn + at) % this.#clients.length]);
    const [best] = inTurn
      .filter((client) => client !== undefined)
      .map((client) => ({ client, rank: rankOf(client) + (client === failed ? 0.5 : 0) }))
      .sort((one, other) => one.rank - other.rank);
    if (best === undefined) throw new Error('there is no server');
    return best.client;
  }

  async #attempt<Request, Response>(
    client: Client,
    method: WireMethod<Request, Response>,
    request: Request,
    options: CallOptions & { readonly deadline: number; readonly repeatable: boolean },
  ): Promise<Response> {
    const { signal, deadline, repeatable } = options;
    signal?.throwIfAborted();
    const metadata = await this.#metadata(options);
    return new Promise((resolve, reject) => {
      let isGivenUp = false;
      const call = client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata,
        { deadline },
        (error: ServiceError | null, response?: Response) => {
          clearTimeout(patience);
          signal?.removeEventListener('abort', abort);
          if (error === null) resolve(response as Response);
          else if (signal?.aborted === true) reject(signal.reason as Error);
          else reject(toCallError(isGivenUp ? notConnected(error) : error));
        },
      );
      const abort = (): void => call.cancel();
      signal?.addEventListener('abort', abort, { once: true });
      const patience =
        repeatable && this.#clients.length > 1
          ? setTimeout(() => {
              isGivenUp = stateOf(client) !== connectivityState.READY;
              if (isGivenUp) call.cancel();
            }, CONNECT_PATIENCE_MS)
          : undefined;
    });
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

function stateOf(client: Client): connectivityState {
  return client.getChannel().getConnectivityState(false);
}

/** rankOf puts servers that can be reached, or were not tried, before those that are being tried, and those before the lost. */
function rankOf(client: Client): number {
  const state = stateOf(client);
  if (state === connectivityState.CONNECTING) return 1;
  return state === connectivityState.TRANSIENT_FAILURE ? 2 : 0;
}

function notConnected(error: ServiceError): ServiceError {
  return Object.assign(error, { code: status.UNAVAILABLE, details: 'no connection to the server' });
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
    throw toCallError(error as ServiceError);
  } finally {
    signal?.removeEventListener('abort', abort);
    call.cancel();
  }
}

/** send sends requests as fast as they are taken. */
async function send<Request>(
  call: ClientDuplexStream<Request, unknown>,
  requests: AsyncIterator<Request>,
): Promise<void> {
  for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
    const hasRoom = call.write(next.value);
    if (!hasRoom) await new Promise((resolve) => call.once('drain', resolve));
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
