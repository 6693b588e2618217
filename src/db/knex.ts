import knexFactory, { type Knex } from 'knex';
import pg from 'pg';
import { parsePgTimestamp } from '../lib/instant.js';

export interface DatabaseOptions {
  /** postgres:// URL; libpq's `sslmode` and friends work as the pg driver reads them. */
  readonly url: string;
  /** Most connections held open. */
  readonly poolSize: number;
  /** Milliseconds to wait for a connection, and for one to be free in the pool. */
  readonly connectTimeoutMs: number;
  /** Milliseconds after which PostgreSQL gives a statement up; 0 for never. */
  readonly statementTimeoutMs: number;
}

// int8 as bigint and timestamptz as Instant: both exact, where the driver's defaults are not.
const types = {
  getTypeParser: (oid: number, format?: string) => {
    if (oid === pg.types.builtins.INT8) return BigInt;
    if (oid === pg.types.builtins.TIMESTAMPTZ) return parsePgTimestamp;
    return pg.types.getTypeParser(oid, format === 'binary' ? 'binary' : 'text') as (text: string) => unknown;
  },
};

// What Knex would print on its own is an error that its caller gets too.
const SILENT = { warn: ignore, error: ignore, deprecate: ignore, debug: ignore };

function ignore(): void {
  // Nothing to do.
}

/** openDatabase makes the one Knex of a process; connections are made when first needed. */
export function openDatabase(options: DatabaseOptions): Knex {
  return knexFactory({
    client: 'pg',
    // Otherwise the messages of errors hold the values of their statements.
    compileSqlOnError: false,
    connection: {
      connectionString: options.url,
      application_name: 'keyward',
      connectionTimeoutMillis: options.connectTimeoutMs,
      statement_timeout: options.statementTimeoutMs,
      keepAlive: true,
      types,
    },
    log: SILENT,
    pool: { min: 0, max: options.poolSize },
    acquireConnectionTimeout: options.connectTimeoutMs,
  });
}
