import knexFactory, { type Knex } from 'knex';
import pg from 'pg';
import { parsePgTimestamp } from '../lib/instant.js';
import type { PoolUse } from '../telemetry/metrics.js';
import { DatabaseClient, type DatabaseClientConfig } from './database-client.js';
import { withOwnSettings } from './own-settings.js';
import { LEAST, LONG_STATEMENT_MS } from './statement-limit.js';

/** Database runs queries, Transaction runs them as one, Query is one in the making: for signatures. */
export type Database = Knex;
export type Transaction = Knex.Transaction;
export type Query = Knex.QueryBuilder;

export interface DatabaseOptions {
  /** postgres:// URL; `sslmode` and friends work as `readLink` tells. */
  readonly url: string;
  /** Most connections held open. */
  readonly poolSize: number;
  /** Milliseconds to wait for a connection, and for one to be free in the pool. */
  readonly connectTimeoutMs: number;
  /** Milliseconds that a statement may take, COMMIT included; an hour if not given, for commands that do long work. */
  readonly statementTimeoutMs?: number;
}

const INT8: number = pg.types.builtins.INT8;
const TIMESTAMPTZ: number = pg.types.builtins.TIMESTAMPTZ;

// int8 as bigint and timestamptz as Instant: both exact, where the driver's defaults are not.
const types = {
  getTypeParser: (oid: number, format?: string) => {
    if (oid === INT8) return BigInt;
    if (oid === TIMESTAMPTZ) return parsePgTimestamp;
    return defaultParser(oid, format === 'binary' ? 'binary' : 'text');
  },
};

// The driver's own types list the numbers it knows; the database has others.
const defaultParser: (oid: number, format: 'binary' | 'text') => (text: string) => unknown =
  pg.types.getTypeParser;

// What Knex would print on its own is an error that its caller gets too.
const SILENT = { warn: ignore, error: ignore, deprecate: ignore, debug: ignore };

function ignore(): void {
  // Nothing to do.
}

/** openDatabase makes the one Knex of a process; connections are made when first needed. */
export function openDatabase(options: DatabaseOptions): Knex {
  const { statementTimeoutMs: limitMs = LONG_STATEMENT_MS } = options;
  if (limitMs <= 0) throw new RangeError('every statement has a limit');
  const connection = {
    connectionString: options.url,
    application_name: 'keyward',
    connectionTimeoutMillis: options.connectTimeoutMs,
    limitMs,
    types,
  } satisfies DatabaseClientConfig;
  const knex = knexFactory({
    client: 'pg',
    // Otherwise the messages of errors hold the values of their statements.
    compileSqlOnError: false,
    connection,
    log: SILENT,
    pool: {
      min: 0,
      max: options.poolSize,
      createTimeoutMillis: options.connectTimeoutMs,
      ...trust(),
    },
    // Whoever gets a connection has some time left for a statement.
    acquireConnectionTimeout: options.connectTimeoutMs * (1 - LEAST),
  });
  // Knex makes its connections of the class that the driver has by this name.
  (knex.client as { driver: { Client: typeof DatabaseClient } }).driver = { Client: DatabaseClient };
  withOwnSettings(knex, limitMs);
  countWaiting(knex.client as Knex.Client, Math.max(0, options.connectTimeoutMs - limitMs));
  return knex;
}

/**
 * countWaiting lets the wait for a connection, but for a time that is free, count for the first statement on it: both
 * together take no longer than the longer of their limits.
 */
function countWaiting(client: Knex.Client, freeMs: number): void {
  const acquire = client.acquireConnection.bind(client) as () => Promise<DatabaseClient>;
  client.acquireConnection = async () => {
    const began = performance.now();
    const connection = await acquire();
    connection.shorten(Math.max(0, performance.now() - began - freeMs));
    return connection;
  };
}

/**
 * trust lets the pool give out no connection that is not ready, nor one that is older than the last failure which is
 * likely to be that of all: whoever tries again has a new one.
 */
function trust(): Pick<Knex.PoolConfig, 'afterCreate' | 'validate'> {
  let age = 0;
  const ages = new WeakMap<DatabaseClient, number>();
  return {
    afterCreate: (connection: DatabaseClient, done: (error: null, connection: DatabaseClient) => void) => {
      ages.set(connection, age);
      connection.onDistrust = () => {
        age += 1;
      };
      done(null, connection);
    },
    validate: (connection: DatabaseClient) => connection.isReady && ages.get(connection) === age,
  };
}

/** poolUse counts the connections of a Knex; a closed one has none. */
export function poolUse(knex: Knex): PoolUse {
  const { pool } = knex.client as { readonly pool?: Pool };
  return {
    used: pool?.numUsed() ?? 0,
    idle: pool?.numFree() ?? 0,
    waiting: pool?.numPendingAcquires() ?? 0,
    max: pool?.max ?? 0,
  };
}

/** Pool is Knex's own, which its types do not tell of. */
interface Pool {
  readonly max: number;
  numUsed(): number;
  numFree(): number;
  numPendingAcquires(): number;
}
