import { Socket } from 'node:net';
import { DatabaseClient } from './database-client.js';

export interface ListenSessionOptions {
  /** postgres:// URL; one that leads to a session of its own, not to one that a pooler shares. */
  readonly url: string;
  /** Milliseconds that connecting may take, and each statement. */
  readonly timeoutMs: number;
  readonly onNotification: (channel: string, payload: string) => void;
  /** onLost is called once, when the session ends without `close`. */
  readonly onLost: (error: Error) => void;
}

/**
 * ListenSession is a connection of its own that hears notifications. It is lost as soon as anything fails: a
 * statement that is not answered in time is the only sign of a frozen server or a dead network.
 */
export class ListenSession {
  readonly #client: DatabaseClient;
  readonly #socket: Socket;
  readonly #options: ListenSessionOptions;
  /** Ends with the statement that was sent last: the driver takes one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #isOpen = false;
  #end: Error | undefined;

  private constructor(options: ListenSessionOptions) {
    this.#options = options;
    this.#socket = new Socket();
    this.#client = new DatabaseClient({
      connectionString: options.url,
      application_name: 'keyward-listener',
      connectionTimeoutMillis: options.timeoutMs,
      limitMs: options.timeoutMs,
      stream: () => this.#socket,
    });
  }

  /** open connects. The caller ends the session with `close`, unless it is lost before. */
  static async open(options: ListenSessionOptions): Promise<ListenSession> {
    const session = new ListenSession(options);
    await session.#connect();
    return session;
  }

  /** query runs one statement after those before it, and gives its rows. What fails loses the session. */
  query(text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    const result = this.#last.then(() => this.#send(text, values));
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** close ends the session at once, whatever is under way. */
  close(): void {
    this.#finish(new Error('the session was closed'));
  }

  async #connect(): Promise<void> {
    // The driver tells of one loss several times.
    this.#client.on('error', (error) => {
      this.#lose(error);
    });
    this.#client.on('end', () => {
      this.#lose(new Error('the server ended the session'));
    });
    this.#client.on('notification', ({ channel, payload = '' }) => {
      this.#notify(channel, payload);
    });
    try {
      await this.#client.connect();
      if (this.#end !== undefined) throw this.#end;
      this.#isOpen = true;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  async #send(text: string, values: readonly unknown[]): Promise<Record<string, unknown>[]> {
    if (this.#end !== undefined) throw this.#end;
    try {
      const { rows } = await this.#client.query<Record<string, unknown>>(text, [...values]);
      return rows;
    } catch (error) {
      this.#lose(error);
      throw error;
    }
  }

  #notify(channel: string, payload: string): void {
    if (this.#end !== undefined) return;
    try {
      this.#options.onNotification(channel, payload);
    } catch (error) {
      this.#lose(error);
    }
  }

  #lose(cause: unknown): void {
    if (this.#end !== undefined) return;
    const error = cause instanceof Error ? cause : new Error('the session failed', { cause });
    this.#finish(error);
    if (this.#isOpen) this.#options.onLost(error);
  }

  #finish(error: Error): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    // Not by the protocol: a server that is frozen would not answer the farewell.
    this.#socket.destroy();
  }
}
