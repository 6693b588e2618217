import { setTimeout as pause } from 'node:timers/promises';
import type { Knex } from 'knex';
import { openDatabase } from './knex.js';
import * as tokens from './migrations/0001-tokens.js';
import * as secrets from './migrations/0002-secrets.js';
import * as audit from './migrations/0003-audit.js';
import * as changeFeed from './migrations/0004-change-feed.js';
import * as issuedBy from './migrations/0005-issued-by.js';
import * as secretBindings from './migrations/0006-secret-bindings.js';
import * as auditAccounts from './migrations/0007-audit-accounts.js';
import * as feedEpoch from './migrations/0008-feed-epoch.js';
import * as doneRequests from './migrations/0009-done-requests.js';
import * as oldestServed from './migrations/0010-oldest-served.js';
import * as noticeOfDeletions from './migrations/0011-notice-of-deletions.js';
import * as manyChanges from './migrations/0012-many-changes.js';
import * as tokenReferences from './migrations/0013-token-references.js';
import * as importConflicts from './migrations/0014-import-conflicts.js';
import * as prefixes from './migrations/0016-prefixes.js';
import * as lookUpByIndex from './migrations/0017-look-up-by-index.js';
import * as announcedExports from './migrations/0018-announced-exports.js';
import * as callersMemory from './migrations/0019-callers-memory.js';
import * as listIndexes from './migrations/0020-list-indexes.js';
import { MIGRATION_LOCK } from './advisory-locks.js';

/** Migrations in their order. Never edit one that was released; add another. */
const MIGRATIONS: readonly { readonly name: string; readonly migration: Knex.Migration }[] = [
  { name: '0001-tokens', migration: tokens },
  { name: '0002-secrets', migration: secrets },
  { name: '0003-audit', migration: audit },
  { name: '0004-change-feed', migration: changeFeed },
  { name: '0005-issued-by', migration: issuedBy },
  { name: '0006-secret-bindings', migration: secretBindings },
  { name: '0007-audit-accounts', migration: auditAccounts },
  { name: '0008-feed-epoch', migration: feedEpoch },
  { name: '0009-done-requests', migration: doneRequests },
  { name: '0010-oldest-served', migration: oldestServed },
  { name: '0011-notice-of-deletions', migration: noticeOfDeletions },
  { name: '0012-many-changes', migration: manyChanges },
  { name: '0013-token-references', migration: tokenReferences },
  { name: '0014-import-conflicts', migration: importConflicts },
  { name: '0016-prefixes', migration: prefixes },
  { name: '0017-look-up-by-index', migration: lookUpByIndex },
  { name: '0018-announced-exports', migration: announcedExports },
  { name: '0019-callers-memory', migration: callersMemory },
  { name: '0020-list-indexes', migration: listIndexes },
];

// Names are given here, not read from files, whose endings differ between source and build.
const migrationSource: Knex.MigrationSource<(typeof MIGRATIONS)[number]> = {
  getMigrations: () => Promise.resolve([...MIGRATIONS]),
  getMigrationName: ({ name }) => name,
  // Knex insists on a way back; there is none, since going back would lose data.
  getMigration: ({ migration }) => Promise.resolve({ down: refuseToGoBack, ...migration }),
};

function refuseToGoBack(): Promise<never> {
  return Promise.reject(new Error('migrations of Keyward only go forward'));
}

/** Migrated is what a migration did. */
export interface Migrated {
  /** The migrations that it ran. */
  readonly applied: readonly string[];
  /** Those of a newer version that the schema has besides; it serves this version too. */
  readonly newer: readonly string[];
}

const TABLE = 'keyward_migrations';
const LOCK_POLL_MS = 100;
/** For how long another migration is waited for. */
const LOCK_LIMIT_MS = 600_000;
/** Statements that ask for the lock wait for nothing: a server that is slower than that is silent. */
const LOCK_STATEMENT_MS = 10_000;

/**
 * migrate brings the schema of a database up to date. One that a newer version has made stays as it is; throws if it does
 * not serve this one. It holds an advisory lock meanwhile: others wait, and a crash leaves nothing locked.
 */
export async function migrate(databaseUrl: string, lockLimitMs = LOCK_LIMIT_MS): Promise<Migrated> {
  const database = { url: databaseUrl, poolSize: 1, connectTimeoutMs: 10_000 };
  const locking = openDatabase({ ...database, statementTimeoutMs: LOCK_STATEMENT_MS });
  const knex = openDatabase(database);
  // The end of a transaction that failed may fail as well, and tells less.
  let failure: unknown;
  try {
    return await locking.transaction(async (lock) => {
      await takeLock(lock, lockLimitMs).catch((error: unknown) => {
        failure = error;
        throw error;
      });
      // Knex's own lock is a row that outlives a crash; the advisory lock stands in for it.
      await knex.migrate.forceFreeMigrationsLock({ tableName: TABLE, migrationSource });
      const { newer, notServed } = await readSchema(knex);
      if (notServed !== undefined) throw new Error(notServed);
      const [, applied] = (await knex.migrate.latest({
        tableName: TABLE,
        migrationSource,
        // Knex takes migrations that it does not know for lost files.
        disableMigrationsListValidation: true,
      })) as [number, string[]];
      return { applied, newer };
    });
  } catch (error) {
    throw failure ?? error;
  } finally {
    await locking.destroy();
    await knex.destroy();
  }
}

/**
 * takeLock asks again and again, in statements without values: a statement that waits in the database, and one with
 * values even after its end, holds a snapshot, for whose end an index that is made CONCURRENTLY would wait for ever.
 */
async function takeLock(trx: Knex.Transaction, limitMs: number): Promise<void> {
  // It stands still while the migrations run.
  await trx.raw('SET LOCAL idle_in_transaction_session_timeout = 0');
  const end = performance.now() + limitMs;
  for (;;) {
    const { rows } = await trx.raw<{ rows: { taken: boolean }[] }>(
      `SELECT pg_try_advisory_xact_lock(${MIGRATION_LOCK}) AS taken`,
    );
    if (rows[0]?.taken === true) return;
    if (performance.now() > end) throw new Error(await lockProblem(trx, limitMs));
    await pause(LOCK_POLL_MS);
  }
}

async function lockProblem(trx: Knex.Transaction, limitMs: number): Promise<string> {
  const { rows } = await trx.raw<{ rows: { pid: number }[] }>(
    `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND (classid::bigint << 32 | objid::bigint) = ${MIGRATION_LOCK}`,
  );
  const holder = rows[0] === undefined ? '' : ` (session ${rows[0].pid} of the database)`;
  return `another migration${holder} has not ended within ${limitMs / 1000} seconds; run "keyward migrate" again when it has`;
}

/**
 * schemaProblem tells why this program cannot work with the schema of the database, or undefined if it can.
 * The schema may be newer than the program, as while one replica after another is replaced.
 */
export async function schemaProblem(knex: Knex): Promise<string | undefined> {
  const { rows } = await knex.raw<{ rows: { value: string }[] }>(
    "SELECT current_setting('default_transaction_read_only') AS value",
  );
  if (rows[0]?.value === 'on') {
    return 'sessions of this role may only read: reset its default_transaction_read_only, or that of the database';
  }
  const { exists, missing, notServed } = await readSchema(knex);
  if (!exists) return 'the database has no Keyward schema; run "keyward migrate"';
  if (notServed !== undefined || missing.length === 0) return notServed;
  return `the database's schema lacks ${missing.join(', ')}; run "keyward migrate"`;
}

/** Schema is what a database has, seen by this program. */
interface Schema {
  readonly exists: boolean;
  readonly missing: readonly string[];
  readonly newer: readonly string[];
  /** Why a newer schema does not serve this program; undefined if it does. */
  readonly notServed: string | undefined;
}

async function readSchema(knex: Knex): Promise<Schema> {
  const exists = await knex.schema.hasTable(TABLE);
  const names = exists ? await knex(TABLE).orderBy('name').pluck<string[]>('name') : [];
  const known = MIGRATIONS.map(({ name }) => name);
  const applied = new Set(names);
  const newer = names.filter((name) => !known.includes(name));
  const missing = known.filter((name) => !applied.has(name));
  const notServed = newer.length > 0 ? await whyNotServed(knex, newer) : undefined;
  return { exists, missing, newer, notServed };
}

async function whyNotServed(knex: Knex, newer: readonly string[]): Promise<string | undefined> {
  if (!(await knex.schema.hasTable('keyward_schema'))) return undefined;
  const row = await knex('keyward_schema').first<{ oldest_served: string } | undefined>();
  const own = MIGRATIONS.at(-1)?.name ?? '';
  if (row === undefined || row.oldest_served <= own) return undefined;
  return (
    `the database's schema is that of a newer version (${newer.join(', ')}), which serves versions from ` +
    `${row.oldest_served} on; this one ends with ${own}`
  );
}
