import type { Knex } from 'knex';
import { patienceMs } from './statement-limit.js';

/** For how long a transaction may stand still between two statements, against what one statement may take. */
const IDLE_FACTOR = 2;

/** KnexTransaction is Knex's own, which its types do not tell of. */
interface KnexTransaction {
  readonly isolationLevel?: string;
  readonly readOnly?: boolean;
  begin(connection: unknown): Promise<unknown>;
  query(connection: unknown, sql: string): Promise<unknown>;
}

interface TransactingClient {
  transaction(...options: unknown[]): KnexTransaction;
}

/**
 * withOwnSettings begins every transaction with what it relies on, and with limits that the server keeps even where this
 * process is frozen or cut off. All of that is set for the one transaction: a pooler may give the session to others
 * afterwards. It is sent together with BEGIN, and takes no time of its own.
 */
export function withOwnSettings(knex: Knex, limitMs: number): void {
  const client = knex.client as TransactingClient;
  const transaction = client.transaction.bind(client);
  client.transaction = (...options) => {
    const trx = transaction(...options);
    trx.begin = (connection) => trx.query(connection, beginning(trx, limitMs));
    return trx;
  };
}

function beginning({ isolationLevel, readOnly }: KnexTransaction, limitMs: number): string {
  return `BEGIN ISOLATION LEVEL ${isolationLevel ?? 'read committed'}, ${readOnly ? 'READ ONLY' : 'READ WRITE'};
    SET LOCAL statement_timeout = ${patienceMs(limitMs)};
    SET LOCAL lock_timeout = ${patienceMs(limitMs)};
    SET LOCAL idle_in_transaction_session_timeout = ${limitMs * IDLE_FACTOR};
    SET LOCAL synchronous_commit = on`;
}
