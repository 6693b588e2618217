import { TLSSocket } from 'node:tls';
import pg from 'pg';
import { askToCancel } from './cancel.js';
import { readLink, withVerifiedTls, type DatabaseLink } from './database-link.js';
import { hasStaleStatements } from './pg-errors.js';
import { StatementLimit } from './statement-limit.js';

/** DatabaseClientConfig is the driver's, where the URL says how to connect. */
export type DatabaseClientConfig = pg.ClientConfig & {
  readonly connectionString: string;
  /** Milliseconds that connecting may take. */
  readonly connectionTimeoutMillis: number;
  /** Milliseconds that each statement may take, with the way there and back. */
  readonly limitMs: number;
};

/**
 * FORMATS are how values are read and written, whatever the role or the database has set. They are sent when a
 * connection begins, which goes before those settings, and are the parameters that poolers carry from one session to
 * another. Nothing else is sent: PgBouncer refuses what it does not carry.
 */
const FORMATS = { DateStyle: 'ISO, MDY', TimeZone: 'UTC', standard_conforming_strings: 'on' };

/** Part of a statement's time after which silence says something of other connections too. */
const LONG_SILENCE = 0.5;
/** How long the farewell of a connection may take before it is cut. */
const FAREWELL_MS = 1_000;
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 };

/** ImpostorError says why a server is not talked to. */
class ImpostorError extends Error {
  override readonly name = 'ImpostorError';
  readonly code = 'KEYWARD_IMPOSTOR';
}

/**
 * DatabaseClient is the driver's client, made safe against who only poses as the database. Every connection to a
 * PostgreSQL is one:
 *
 * - Beyond this machine it uses verified TLS unless the URL says otherwise (see `readLink`).
 * - A password in clear leaves only through verified TLS.
 * - A server that begins SCRAM has to end it, which only one that knows the password can.
 * - Where the URL requires SCRAM, nothing else will do, not even a server that asks for nothing.
 *
 * It is made safe as well against a server or a network that answers no more, and against settings of others: see
 * `StatementLimit` and FORMATS.
 *
 * `onDistrust` is told when other connections of the same age are likely to be of no use either: no answer came, or the
 * statements that were prepared have gone stale.
 */
export class DatabaseClient extends pg.Client {
  readonly #limit: StatementLimit;
  readonly #complete: pg.ClientConfig;
  #isAskedToCancel = false;
  onDistrust: () => void = () => undefined;

  constructor(config: DatabaseClientConfig) {
    const complete = withVerifiedTls({ ...KEEP_ALIVE, ...config });
    super(complete);
    this.#complete = complete;
    guard(this.connection, readLink(config.connectionString));
    askForFormats(this);
    this.#limit = new StatementLimit(this, {
      limitMs: config.limitMs,
      cancel: () => {
        this.cancel();
      },
      onSilence: (waitedMs) => {
        if (waitedMs >= config.limitMs * LONG_SILENCE) this.onDistrust();
      },
    });
    this.connection.on('errorMessage', (error: unknown) => {
      if (hasStaleStatements(error)) this.onDistrust();
    });
  }

  /** isReady tells whether the next statement can be sent: a request to cancel the last one may still be on its way. */
  get isReady(): boolean {
    return !this.#limit.isUnderWay && !this.#isAskedToCancel;
  }

  /** cancel asks the server to give up what it does for this client, which is of no use to others afterwards. */
  cancel(): void {
    if (this.#isAskedToCancel) return;
    this.#isAskedToCancel = true;
    askToCancel(this, this.#complete);
  }

  /** shorten takes from the time of the next statement for how long the connection was waited for. */
  shorten(byMs: number): void {
    this.#limit.shorten(byMs);
  }

  override end(): Promise<void>;
  override end(callback: (error: Error) => void): void;
  override end(callback?: (error: Error) => void): Promise<void> | undefined {
    // Not by the protocol alone: a network that is dead does not tell that the farewell has come.
    const cut = setTimeout(() => this.connection.stream.destroy(), FAREWELL_MS).unref();
    this.once('end', () => {
      clearTimeout(cut);
    });
    if (callback === undefined) return super.end();
    super.end(callback);
    return undefined;
  }
}

/** Startup is what the driver's types do not tell of. */
interface Startup {
  getStartupConf: () => Readonly<Record<string, string>>;
}

/** askForFormats adds FORMATS to the message that begins a connection. */
function askForFormats(client: pg.Client): void {
  const startup = client as unknown as Startup;
  const own = startup.getStartupConf.bind(client);
  startup.getStartupConf = () => ({ ...own(), ...FORMATS });
}

/**
 * guard ends a connection before the driver answers a message that it should not. It hears each message first,
 * since the driver begins to listen when it connects, and the driver writes nothing to a stream that is destroyed.
 */
function guard(connection: pg.Connection, { requiresScram }: DatabaseLink): void {
  let scram: 'not begun' | 'begun' | 'ended' = 'not begun';
  let isAuthenticated = false;
  let hasFailed = false;

  const refuse = (why: string): void => {
    connection.emit('error', new ImpostorError(`the server is not taken for the database: ${why}`));
  };
  connection.on('error', () => {
    // The driver itself leaves the connection open, for instance after a wrong proof of the server's.
    hasFailed = true;
    connection.stream.destroy();
  });
  connection.on('authenticationCleartextPassword', () => {
    if (!isVerified(connection.stream)) {
      refuse('it asks for the password in clear, and the connection is no verified TLS');
    }
  });
  connection.on('authenticationMD5Password', () => {
    if (requiresScram) refuse('it asks for a hash of the password, and SCRAM is required');
  });
  connection.on('authenticationSASL', () => (scram = 'begun'));
  connection.on('authenticationSASLFinal', () => {
    // The driver compares the server's proof next; a wrong one is an error.
    if (scram === 'begun') scram = 'ended';
  });
  connection.on('authenticationOk', () => {
    if (hasFailed) return;
    if (scram === 'begun') refuse('it did not show that it knows the password');
    else if (requiresScram && scram === 'not begun') refuse('it asks for no password, and SCRAM is required');
    else isAuthenticated = true;
  });
  connection.on('readyForQuery', () => {
    if (!isAuthenticated && !hasFailed) refuse('it skips the authentication');
  });
}

function isVerified(stream: pg.Connection['stream']): boolean {
  return stream instanceof TLSSocket && stream.authorized;
}
