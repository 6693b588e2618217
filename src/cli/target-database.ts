import type { Knex } from 'knex';
import { loadConfig } from '../config.js';
import { startEmbeddedPostgres } from '../db/embedded-postgres.js';
import { openDatabase } from '../db/knex.js';
import { migrate } from '../db/migrate.js';

/**
 * withTargetDatabase runs a command on Keyward's database: that of DATABASE_URL, which must be migrated, or else
 * the embedded one of KEYWARD_DATA_DIR, which it starts and migrates if need be and leaves when done.
 */
export async function withTargetDatabase<T>(run: (knex: Knex, url: string) => Promise<T>): Promise<T> {
  const { databaseUrl, dataDir } = loadConfig(process.env);
  if (databaseUrl !== undefined) return withDatabase(databaseUrl.reveal(), run);
  const embedded = await startEmbeddedPostgres({ dataDir });
  try {
    await migrate(embedded.url);
    return await withDatabase(embedded.url, run);
  } finally {
    await embedded.stop();
  }
}

async function withDatabase<T>(url: string, run: (knex: Knex, url: string) => Promise<T>): Promise<T> {
  const knex = openDatabase({ url, poolSize: 4, connectTimeoutMs: 10_000, statementTimeoutMs: 0 });
  try {
    return await run(knex, url);
  } finally {
    await knex.destroy();
  }
}
