import type pg from 'pg';

/** SilentError says that a statement had no answer in its time. Nobody knows then what became of it. */
class SilentError extends Error {
  override readonly name = 'SilentError';
  readonly code = 'KEYWARD_SILENT';
}

/** LONG_STATEMENT_MS is for commands, which may read or change whole tables. */
export const LONG_STATEMENT_MS = 3_600_000;

/** Part of its time after which the server is asked to give a statement up. If it answers, it is not silent, only slow. */
const PATIENCE = 0.9;

/** What the server says of its state between two statements, where no transaction is under way. */
const NO_TRANSACTION = 'I';

/** Part of its time that a statement has at least, whatever was waited for before. */
export const LEAST = 0.1;

/** What may be committed by the time that it is cancelled, and then is not undone. */
const COMMITS = /^\s*commit\b/i;
const WRITES = /\b(?:insert|update|delete|commit)\b/i;

/** patienceMs is for how long the server may work on a statement that may take `limitMs` in all. */
export function patienceMs(limitMs: number): number {
  return Math.round(limitMs * PATIENCE);
}

/** Inside is what the driver's types do not tell of. */
interface Inside {
  readonly _activeQuery: { readonly text?: string } | null;
}

export interface StatementLimitOptions {
  readonly limitMs: number;
  /** Asks the server to give up what it does for the client. */
  readonly cancel: () => void;
  /** Told before the connection of a statement without an answer is destroyed, with how long that was waited for. */
  readonly onSilence: (waitedMs: number) => void;
}

/**
 * StatementLimit bounds each statement of a client from when it is sent to when all of its answer is there, COMMIT
 * included, and all statements of a transaction together. No setting of a server, role or pooler plays a part in it, nor
 * does the network tell of its own failures. A connection with a statement that is not answered is destroyed: what came
 * later would be taken for the next answer.
 */
export class StatementLimit {
  readonly #client: pg.Client;
  readonly #options: StatementLimitOptions;
  #timer: NodeJS.Timeout | undefined;
  #isUnderWay = false;
  #begunAt = 0;
  /** Of the time of the next statement. */
  #usedMs = 0;

  constructor(client: pg.Client, options: StatementLimitOptions) {
    this.#client = client;
    this.#options = options;
    const { connection } = client;
    // With these messages the driver hands over to the server; with this one it is given back.
    const query = connection.query.bind(connection);
    connection.query = (text) => {
      this.#begin();
      query(text);
    };
    const sync = connection.sync.bind(connection);
    connection.sync = () => {
      this.#begin();
      sync();
    };
    connection.on('readyForQuery', ({ status }: { readonly status: string }) => {
      this.#end(status !== NO_TRANSACTION);
    });
    connection.on('end', () => {
      this.#end(false);
    });
  }

  /** isUnderWay tells whether an answer is missing. */
  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** shorten takes time from the next statement: who sends it has waited for so long already. */
  shorten(byMs: number): void {
    this.#usedMs = byMs;
  }

  #begin(): void {
    const whole = this.#options.limitMs;
    const limitMs = Math.max(whole * LEAST, whole - this.#usedMs);
    clearTimeout(this.#timer);
    this.#isUnderWay = true;
    this.#begunAt = performance.now();
    this.#timer = setTimeout(() => {
      if (!this.#mayCommit()) this.#options.cancel();
      // What has come while this process stood still is read before the time is up.
      this.#timer = setTimeout(
        () => {
          this.#giveUp(limitMs);
        },
        limitMs - patienceMs(limitMs),
      );
    }, patienceMs(limitMs));
  }

  #end(isInTransaction: boolean): void {
    clearTimeout(this.#timer);
    const tookMs = this.#isUnderWay ? performance.now() - this.#begunAt : 0;
    this.#usedMs = isInTransaction ? this.#usedMs + tookMs : 0;
    this.#isUnderWay = false;
  }

  #giveUp(limitMs: number): void {
    this.#options.onSilence(limitMs);
    const error = new SilentError(`the database has not answered within ${Math.round(limitMs)} ms`);
    this.#client.connection.emit('error', error);
  }

  /** A cancelled COMMIT that waits for a standby is one for everybody else, and may be lost with this server. */
  #mayCommit(): boolean {
    const text = (this.#client as unknown as Inside)._activeQuery?.text ?? '';
    return (this.#client.getTransactionStatus() === 'T' ? COMMITS : WRITES).test(text);
  }
}
