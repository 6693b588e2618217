import { lstatSync } from 'node:fs';
import type { Knex } from 'knex';
import { ConfigError, SETTINGS, type Config } from '../config.js';
import type { Keyring } from '../crypto/keyring.js';
import { unreachable } from '../db/connection-failure.js';
import { clusterNameIn, startEmbeddedPostgres } from '../db/embedded-postgres.js';
import { openDatabase } from '../db/knex.js';
import { migrate, schemaProblem } from '../db/migrate.js';
import { io } from './io/io.js';
import { openKeyring } from './keyring.js';
import { readConfig } from './read-config.js';
import { databaseLinkWarnings } from './io/link-warnings.js';
import { warn } from './io/output.js';
import { untilSignal } from './serve/signals.js';

/** TargetOptions say what a command needs. */
export interface TargetOptions {
  /** True for commands that work on what is there: where there is no embedded database, none is made. */
  readonly mustExist?: true;
  /** True for commands that go on until a signal, and end in order by it. */
  readonly endsBySignal?: true;
}

/**
 * withTargetDatabase runs a command on Keyward's database, with the keys of what is encrypted in it: that of
 * DATABASE_URL, which must be migrated, or else the embedded one of KEYWARD_DATA_DIR.
 */
export async function withTargetDatabase<T>(
  run: (knex: Knex, keyring: Keyring) => Promise<T>,
  options: TargetOptions = {},
): Promise<T> {
  const config = readConfig(io().env);
  if (options.mustExist === true) requireEmbedded(config);
  const keyring = await openKeyring(config, warn, options.mustExist !== true);
  return withTargetUrl(async (url) => {
    const knex = openDatabase({ url, poolSize: 4, connectTimeoutMs: 10_000 });
    try {
      const problem = await schemaProblem(knex);
      if (problem !== undefined) throw new Error(problem);
      return await run(knex, keyring);
    } finally {
      await knex.destroy();
    }
  }, options);
}

/**
 * withTargetUrl gives that database's URL. The embedded one is started and migrated if need be, and left when done,
 * by a signal that ends the command too.
 */
export async function withTargetUrl<T>(
  run: (url: string) => Promise<T>,
  { mustExist, endsBySignal }: TargetOptions = {},
): Promise<T> {
  const config = readConfig(io().env);
  const { databaseUrl, dataDir } = config;
  databaseLinkWarnings({ databaseUrl, databaseListenUrl: undefined }).forEach(warn);
  if (databaseUrl !== undefined) return onDatabaseOf(databaseUrl.reveal(), run);
  if (mustExist === true) requireEmbedded(config);
  return untilSignal(async (signal) => {
    const embedded = await startEmbeddedPostgres({ dataDir, onWarning: warn, signal });
    const work = async (): Promise<T> => {
      await migrate(embedded.url);
      return run(embedded.url);
    };
    try {
      return await (endsBySignal === true ? work() : Promise.race([work(), brokenOff(signal)]));
    } finally {
      await embedded.stop();
    }
  });
}

/** onDatabaseOf names the setting and the database where that cannot be reached. */
async function onDatabaseOf<T>(url: string, run: (url: string) => Promise<T>): Promise<T> {
  try {
    return await run(url);
  } catch (error) {
    const failure = unreachable(url, error);
    if (failure === error || !(failure instanceof Error)) throw error;
    throw new Error(`${SETTINGS.databaseUrl.variable}: ${failure.message}`, { cause: error });
  }
}

function brokenOff(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = (): void => reject(signal.reason as Error);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}

/** requireEmbedded makes sure that there is an embedded database, where the settings name no other. */
function requireEmbedded({ databaseUrl, dataDir }: Config): void {
  if (databaseUrl !== undefined) return;
  if (lstatSync(clusterNameIn(dataDir), { throwIfNoEntry: false }) !== undefined) return;
  const { databaseUrl: url, dataDir: directory } = SETTINGS;
  throw new ConfigError(
    `there is no database: ${url.variable} is not set, and there is none in ${dataDir} (${directory.variable}). ` +
      '"keyward serve" or "keyward migrate" makes one there',
  );
}
