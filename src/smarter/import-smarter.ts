/**
 * `smarter/` takes over the keys and secrets of a Smarter platform: it reads the rows of the original, normalises them,
 * and writes them in batches. It can be run again at any time.
 *
 *     const report = await importSmarter({ sourceUrl, target, keyring, audit, clock, keepTokens: false, dryRun: true });
 */

import type { Knex } from 'knex';
import { deactivatedTokenEntry, keptTokens } from '../account/account-entries.js';
import { UserProfileRepository } from '../account/user-profile-repository.js';
import { OPERATOR, type AuditEntry, type AuditLog } from '../audit/audit-log.js';
import type { Keyring } from '../crypto/keyring.js';
import { schemaProblem } from '../db/migrate.js';
import type { Clock } from '../lib/clock.js';
import { connectSource } from './connect-source.js';
import { FreeNames } from './free-names.js';
import { importOwners } from './owner-batch.js';
import { readAccounts, readUserProfiles, readUsers } from './owner-rows.js';
import { Promotions } from './promotions.js';
import { ReportBuilder, type BatchReport, type ImportReport, type Kind, type Note } from './report.js';
import { importReferences } from './reference-batch.js';
import { importSecrets } from './secret-batch.js';
import { readSecrets } from './secret-rows.js';
import { SmarterImportError } from './smarter-import-error.js';
import type { SourceRow } from './source-rows.js';
import type { Source } from './source.js';
import type { ReadOptions } from './tagged-rows.js';
import { SECRETS, TARGET_TABLES, TOKENS } from './target-tables.js';
import { query } from './target-store.js';
import { importTokens } from './token-batch.js';
import { readKnoxOnly, readTokens } from './token-rows.js';
import { hasCode } from '../lib/errno.js';
import { IMPORT_LOCK } from '../db/advisory-locks.js';

export interface Progress {
  readonly kind: Kind;
  /** Rows read so far, and how many there are. */
  readonly read: number;
  readonly total: number;
}

export interface ImportOptions {
  /** postgres://, postgresql://, mysql:// or mariadb:// URL of the Smarter platform's database. */
  readonly sourceUrl: string;
  /** Keyward's database, migrated. At least two connections are used. */
  readonly target: Knex;
  /** Holds the keys that Smarter encrypted its secrets with, and the one that Keyward encrypts with. */
  readonly keyring: Keyring;
  readonly audit: AuditLog;
  readonly clock: Clock;
  /** Leave tokens switched on that someone else issued in Keyward, though their owner is promoted or joins an account. */
  readonly keepTokens: boolean;
  /** Compute and report everything, and write nothing: all work is done in one transaction that is rolled back. */
  readonly dryRun: boolean;
  readonly onProgress?: (progress: Progress) => void;
  /** Rows of a batch, each a transaction of its own. */
  readonly batchSize?: number;
}

const SOURCE_TABLES: Readonly<Record<Kind, string>> = {
  account: 'account_account',
  user: 'auth_user',
  user_profile: 'account_userprofile',
  token: 'drf_smarterauthtoken',
  secret: 'secret_secret',
};
const OTHER_TABLES = ['knox_authtoken', 'taggit_tag', 'taggit_taggeditem', 'django_content_type'];
/** Tables whose rows Keyward has no place for, but that hang on rows that it takes. */
const STAYING_TABLES = ['account_accountcontact', 'auth_user_groups', 'auth_user_user_permissions'];

/** How often a batch is tried that fails because something else writes at the same time. */
const ATTEMPTS = 5;
/** unique_violation, serialization_failure, deadlock_detected: what a concurrent writer can cause. */
const CONCURRENCY_ERRORS = new Set(['23505', '40001', '40P01']);

/**
 * importSmarter takes accounts, users, user profiles, API keys and secrets over from a Smarter platform's database, of which
 * it reads one consistent snapshot and changes nothing. It may be repeated, also after it was interrupted: it then
 * writes only what changed in the source since, field by field, and brings nothing back that was deleted in Keyward.
 *
 * @throws SmarterImportError where the source is no Smarter database, the target's schema is not up to date or
 * another import is running
 */
export async function importSmarter(options: ImportOptions): Promise<ImportReport> {
  const problem = await schemaProblem(options.target);
  if (problem !== undefined) throw new SmarterImportError(`Nothing can be imported: ${problem}.`);
  const source = await connectSource(options.sourceUrl);
  try {
    // Holds the lock and the list of rows seen; nothing in it is ever committed.
    const holder = await options.target.transaction();
    try {
      return await new SmarterImport(options, source, holder).run();
    } finally {
      await holder.rollback();
    }
  } finally {
    await source.close();
  }
}

/** BatchWriter writes one batch within a transaction. */
type BatchWriter<Row> = (trx: Knex.Transaction, rows: readonly Row[]) => Promise<BatchReport>;

class SmarterImport {
  readonly #options: ImportOptions;
  readonly #source: Source;
  readonly #holder: Knex.Transaction;
  readonly #report = new ReportBuilder();
  readonly #tokenNames = new FreeNames(TOKENS);
  readonly #promotions: Promotions;
  readonly #secretNames = new FreeNames(SECRETS);

  constructor(options: ImportOptions, source: Source, holder: Knex.Transaction) {
    this.#options = options;
    this.#promotions = new Promotions({ ...options, profiles: new UserProfileRepository(options.target) });
    this.#source = source;
    this.#holder = holder;
  }

  async run(): Promise<ImportReport> {
    const tables = await this.#source.tables();
    const lacking = [...Object.values(SOURCE_TABLES), ...OTHER_TABLES].filter((table) => !tables.has(table));
    if (lacking.length > 0) {
      throw new SmarterImportError(
        `The source is not a Smarter database: it has no table ${lacking.join(', ')}.`,
      );
    }
    await this.#lock();

    const read: ReadOptions = {
      source: this.#source,
      batchSize: this.#batchSize,
      staying: (column, values) => this.#report.addStaying(column, values),
    };
    await this.#importKind('account', readAccounts(read), this.#ownersInto('account'));
    await this.#importKind('user', readUsers(read), this.#ownersInto('user'));
    await this.#importKind('user_profile', readUserProfiles(read), this.#ownersInto('user_profile'));
    await this.#importKind('token', readTokens(read), (trx, rows) =>
      importTokens(trx, this.#tokenNames, this.#promotions, rows),
    );
    for await (const keys of readKnoxOnly(this.#source, this.#batchSize)) {
      const what = 'left out: it has no Smarter row, so it is no API key';
      this.#report.addNotes(
        'knox-only',
        keys.map((key): Note => ({ kind: 'token', key, what })),
        keys.length,
      );
    }
    await this.#importKind('secret', readSecrets(read, this.#options.keyring), (trx, rows) =>
      importSecrets(trx, this.#options.keyring, this.#secretNames, rows),
    );
    const shared = { ...this.#options, source: this.#source, holder: this.#holder };
    this.#report.references = await importReferences({ ...shared, batchSize: this.#batchSize });
    for (const table of STAYING_TABLES.filter((name) => tables.has(name))) {
      this.#report.addStaying(table, await this.#countSource(table));
    }
    return this.#report.build(this.#options.dryRun);
  }

  get #batchSize(): number {
    return this.#options.batchSize ?? 2000;
  }

  async #lock(): Promise<void> {
    await this.#holder.raw('SET LOCAL idle_in_transaction_session_timeout = 0');
    const [lock] = await query<{ got: boolean }>(this.#holder, 'SELECT pg_try_advisory_xact_lock(?) AS got', [
      IMPORT_LOCK,
    ]);
    if (lock?.got !== true) throw new SmarterImportError('Another import into this database is running.');
    await this.#holder.raw('CREATE TEMPORARY TABLE import_seen (source_key text NOT NULL) ON COMMIT DROP');
  }

  async #importKind<Row extends SourceRow>(
    kind: Kind,
    batches: AsyncIterable<readonly Row[]>,
    write: BatchWriter<Row>,
  ): Promise<void> {
    const total = await this.#countSource(SOURCE_TABLES[kind]);
    const isRepeated = (await this.#countRecords(kind)) > 0;
    for await (const rows of batches) {
      this.#report.addBatch(kind, await this.#commitBatch(kind, (trx) => write(trx, rows)));
      if (isRepeated) await this.#remember(rows);
      this.#options.onProgress?.({ kind, read: this.#report.rowsRead(kind), total });
    }
    if (isRepeated) await this.#noteVanished(kind);
  }

  /** #ownersInto writes batches of accounts, users or user profiles. */
  #ownersInto(kind: Kind): BatchWriter<SourceRow> {
    return (trx, rows) => importOwners(trx, TARGET_TABLES[kind], this.#promotions, rows);
  }

  /** #commitBatch writes a batch and its records in one transaction. */
  async #commitBatch(
    kind: Kind,
    write: (trx: Knex.Transaction) => Promise<BatchReport>,
  ): Promise<BatchReport> {
    const scope = this.#options.dryRun ? this.#holder : this.#options.target;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await scope.transaction(async (trx) => {
          const batch = await write(trx);
          await this.#options.audit.record(trx, auditEntries(kind, batch, this.#options.keepTokens));
          return batch;
        });
      } catch (error) {
        this.#tokenNames.forget();
        this.#secretNames.forget();
        if (attempt === ATTEMPTS || !isConcurrencyError(error)) throw batchFailed(kind, error);
      }
    }
  }

  async #remember(rows: readonly SourceRow[]): Promise<void> {
    const sql = 'INSERT INTO import_seen SELECT unnest(?::text[])';
    await this.#holder.raw(sql, [rows.map(({ key }) => key)]);
  }

  /** #noteVanished tells which imported rows the source no longer has. They stay: deleting is Keyward's own business. */
  async #noteVanished(kind: Kind): Promise<void> {
    const { table, present } = TARGET_TABLES[kind];
    const vanished = await query<{ source_key: string; count: string }>(
      this.#holder,
      `SELECT r.source_key, (count(*) OVER ())::text AS count
       FROM import_records r JOIN ${table} t ON t.id = r.target_id AND ${present}
       WHERE r.kind = ? AND NOT EXISTS (SELECT FROM import_seen s WHERE s.source_key = r.source_key)
       ORDER BY r.source_key LIMIT 1000`,
      [kind],
    );
    await this.#holder.raw('TRUNCATE import_seen');
    const what = 'gone from the source since it was imported: it stays in Keyward';
    const notes = vanished.map(({ source_key: key }): Note => ({ kind, key, what }));
    this.#report.addNotes('vanished', notes, Number(vanished[0]?.count ?? 0));
  }

  async #countSource(table: string): Promise<number> {
    let count = 0;
    for await (const [row] of this.#source.rows(`SELECT count(*) AS rows_ FROM ${table}`, 1)) {
      count = Number(row?.['rows_']);
    }
    return count;
  }

  async #countRecords(kind: Kind): Promise<number> {
    const sql =
      'SELECT count(*)::text AS count FROM (SELECT FROM import_records WHERE kind = ? LIMIT 1) any_';
    const [row] = await query<{ count: string }>(this.#holder, sql, [kind]);
    return Number(row?.count ?? 0);
  }
}

/** auditEntries is one entry for a batch that wrote something, and one for each token that it switched off. */
function auditEntries(kind: Kind, batch: BatchReport, keepTokens: boolean): AuditEntry[] {
  const written = (['created', 'updated', 'merged'] as const).map((outcome) => {
    return [outcome, batch.outcomes.filter((each) => each === outcome).length] as const;
  });
  const counted = written
    .filter(([, count]) => count > 0)
    .map(([outcome, count]) => [outcome, String(count)]);
  if (counted.length === 0) return [];
  const detail = { ...(Object.fromEntries(counted) as Record<string, string>), ...keptTokens(keepTokens) };
  return [
    { actor: OPERATOR, action: 'DATA_IMPORTED', outcome: 'OK', resource: { kind, id: null }, detail },
    ...batch.deactivated.map(({ token, cause }) => ({
      actor: OPERATOR,
      ...deactivatedTokenEntry(token, cause),
    })),
  ];
}

/** batchFailed hides the statement and its values, which drivers put before the reason. */
function batchFailed(kind: Kind, cause: unknown): SmarterImportError {
  const reason =
    cause instanceof Error ? cause.message.slice(cause.message.lastIndexOf(' - ') + 1) : String(cause);
  const rows = kind.replace('_', ' ');
  return new SmarterImportError(
    `A batch of ${rows} rows could not be written: ${reason.replace(/^- /, '')}. Earlier batches were; run it again.`,
    { cause },
  );
}

function isConcurrencyError(error: unknown): boolean {
  return hasCode(error, ...CONCURRENCY_ERRORS);
}
