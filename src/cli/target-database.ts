import type { Knex } from 'knex';
import type { Keyring } from '../crypto/keyring.js';
import { startEmbeddedPostgres } from '../db/embedded-postgres.js';
import { openDatabase } from '../db/knex.js';
import { migrate } from '../db/migrate.js';
import { io } from './io.js';
import { openKeyring } from './keyring.js';
import { readConfig } from './read-config.js';
import { databaseLinkWarnings } from './link-warnings.js';
import { warn } from './output.js';

/**
 * withTargetDatabase runs a command on Keyward's database, with the keys of what is encrypted in it: that of
 * DATABASE_URL, which must be migrated, or else the embedded one of KEYWARD_DATA_DIR.
 */
export async function withTargetDatabase<T>(run: (knex: Knex, keyring: Keyring) => Promise<T>): Promise<T> {
  const keyring = await openKeyring(readConfig(io().env), warn);
  return withTargetUrl(async (url) => {
    const knex = openDatabase({ url, poolSize: 4, connectTimeoutMs: 10_000 });
    try {
      return await run(knex, keyring);
    } finally {
      await knex.destroy();
    }
  });
}

/** withTargetUrl gives that database's URL. The embedded one is started and migrated if need be, and left when done. */
export async function withTargetUrl<T>(run: (url: string) => Promise<T>): Promise<T> {
  const { databaseUrl, dataDir } = readConfig(io().env);
  databaseLinkWarnings({ databaseUrl, databaseListenUrl: undefined }).forEach(warn);
  if (databaseUrl !== undefined) return run(databaseUrl.reveal());
  const embedded = await startEmbeddedPostgres({ dataDir, onWarning: warn });
  try {
    await migrate(embedded.url);
    return await run(embedded.url);
  } finally {
    await embedded.stop();
  }
}
