import { randomUUID } from 'node:crypto';
import { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { DatabaseClient, type DatabaseClientConfig } from './database-client.js';

export interface ListenSessionOptions {
  /** postgres:// URL; one that leads to a session of its own, not to one that a pooler shares. */
  readonly url: string;
  /** Milliseconds that connecting may take, and each statement. */
  readonly timeoutMs: number;
  readonly onNotification: (channel: string, payload: string) => void;
  /** onLost is called once, when the session ends without `close`. */
  readonly onLost: (error: Error) => void;
}

/** PROBE is a channel for notifications to oneself. */
const PROBE = 'keyward_probe';

/** SharedSessionError says that what is listened for would be told to somebody else. */
class SharedSessionError extends Error {
  override readonly name = 'SharedSessionError';
  constructor() {
    super(
      'a pooler gives the session that listens for changes to others too: let DATABASE_LISTEN_URL lead to ' +
        'PostgreSQL itself, or to a pooler that gives each client a session of its own',
    );
  }
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
  #onProbe: (word: string) => void = () => undefined;
  #end: Error | undefined;

  private constructor(options: ListenSessionOptions) {
    this.#options = options;
    this.#socket = new Socket();
    this.#client = new DatabaseClient({ ...clientConfig(options), stream: () => this.#socket });
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
      if (!(await this.#isOwn())) throw new SharedSessionError();
      await this.#client.query(ownSettings(this.#options.timeoutMs));
      this.#isOpen = true;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** #isOwn tells whether the session is given to nobody else. A pooler has its own numbers for sessions. */
  async #isOwn(): Promise<boolean> {
    const { rows } = await this.#client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const { processID } = this.#client as unknown as { readonly processID: number };
    return rows[0]?.pid === processID || this.#hears();
  }

  /** #hears tells whether what another session says arrives here while nothing is asked. */
  async #hears(): Promise<boolean> {
    const word = randomUUID();
    const heard = new Promise<boolean>((resolve) => {
      this.#onProbe = (payload) => {
        if (payload === word) resolve(true);
      };
    });
    await this.#client.query(`LISTEN ${PROBE}`);
    const other = new DatabaseClient(clientConfig(this.#options));
    other.on('error', () => undefined);
    try {
      await other.connect();
      await other.query('SELECT pg_notify($1, $2)', [PROBE, word]);
    } finally {
      await other.end();
    }
    const isHeard = await Promise.race([heard, pause(this.#options.timeoutMs, false, { ref: false })]);
    await this.#client.query(`UNLISTEN ${PROBE}`);
    return isHeard;
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
    if (channel === PROBE) {
      this.#onProbe(payload);
      return;
    }
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

function clientConfig({ url, timeoutMs }: ListenSessionOptions): DatabaseClientConfig {
  return {
    connectionString: url,
    application_name: 'keyward-listener',
    connectionTimeoutMillis: timeoutMs,
    limitMs: timeoutMs,
  };
}

/** ownSettings are for a session that nobody else gets: it relies on nothing that the role or the database has set. */
function ownSettings(timeoutMs: number): string {
  // What is committed must survive a crash of the database: writers wait for what is registered.
  return `SET synchronous_commit = on;
    SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
    SET statement_timeout = ${timeoutMs};
    SET lock_timeout = ${timeoutMs};
    SET idle_session_timeout = 0`;
}
