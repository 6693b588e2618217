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

const TABLE = 'keyward_migrations';
// Any fixed number; it only has to differ from other users of advisory locks in the same database.
const MIGRATION_LOCK = 7_033_291_501;
const LOCK_POLL_MS = 100;

/**
 * migrate brings the schema of a database up to date and returns the names of the migrations it ran.
 * It holds an advisory lock meanwhile: others wait, and a crash leaves nothing locked.
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  const knex = openDatabase({
    url: databaseUrl,
    poolSize: 2,
    connectTimeoutMs: 10_000,
    statementTimeoutMs: 0,
  });
  try {
    return await knex.transaction(async (lock) => {
      await takeLock(lock);
      // Knex's own lock is a row that outlives a crash; the advisory lock stands in for it.
      await knex.migrate.forceFreeMigrationsLock({ tableName: TABLE, migrationSource });
      const [, ran] = (await knex.migrate.latest({ tableName: TABLE, migrationSource })) as [
        number,
        string[],
      ];
      return ran;
    });
  } finally {
    await knex.destroy();
  }
}

/**
 * takeLock asks again and again, in statements without values: a statement that waits in the database, and one with
 * values even after its end, holds a snapshot, for whose end an index that is made CONCURRENTLY would wait for ever.
 */
async function takeLock(trx: Knex.Transaction): Promise<void> {
  for (;;) {
    const { rows } = await trx.raw<{ rows: { taken: boolean }[] }>(
      `SELECT pg_try_advisory_xact_lock(${MIGRATION_LOCK}) AS taken`,
    );
    if (rows[0]?.taken === true) return;
    await pause(LOCK_POLL_MS);
  }
}

/**
 * schemaProblem tells why this program cannot work with the schema of the database, or undefined if it can.
 * The schema may be newer than the program, as while one replica after another is replaced.
 */
export async function schemaProblem(knex: Knex): Promise<string | undefined> {
  const exists = await knex.schema.hasTable(TABLE);
  if (!exists) return 'the database has no Keyward schema; run "keyward migrate"';
  const rows = await knex(TABLE).select<{ name: string }[]>('name');
  const applied = new Set(rows.map((row) => row.name));
  const missing = MIGRATIONS.filter(({ name }) => !applied.has(name));
  if (missing.length === 0) return undefined;
  return `the database's schema lacks ${missing.map(({ name }) => name).join(', ')}; run "keyward migrate"`;
}
