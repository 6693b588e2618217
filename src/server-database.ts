import type { Config } from './config.js';
import { openDatabase, poolUse, type Database } from './db/knex.js';
import type { PoolUse } from './telemetry/metrics.js';

/** Databases are one database, by connections for different work: what may wait for locks takes none from what may not. */
export interface Databases {
  /** For everything else, changes and lists among it. */
  readonly knex: Database;
  /** For who calls, what tokens are worth, and what secrets hold: short statements that wait for no change. */
  readonly urgent: Database;
  /** use counts the connections of both. */
  readonly use: () => PoolUse;
  close(): Promise<void>;
}

/** Part of all connections that is kept for what is urgent; more would not be used, as such work is done together. */
const URGENT_PART = 0.4;

export function openDatabases(
  url: string,
  { databasePoolSize, databaseTimeoutSeconds }: Pick<Config, 'databasePoolSize' | 'databaseTimeoutSeconds'>,
): Databases {
  const timeoutMs = databaseTimeoutSeconds * 1000;
  const open = (poolSize: number): Database =>
    openDatabase({ url, poolSize, connectTimeoutMs: timeoutMs, statementTimeoutMs: timeoutMs });
  const kept = Math.max(1, Math.floor(databasePoolSize * URGENT_PART));
  const urgent = open(kept);
  const knex = open(databasePoolSize - kept);
  return {
    knex,
    urgent,
    use: () => sumOf(poolUse(knex), poolUse(urgent)),
    close: async () => {
      await Promise.all([knex.destroy(), urgent.destroy()]);
    },
  };
}

function sumOf(a: PoolUse, b: PoolUse): PoolUse {
  return {
    used: a.used + b.used,
    idle: a.idle + b.idle,
    waiting: a.waiting + b.waiting,
    max: a.max + b.max,
  };
}
