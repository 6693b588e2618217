/**
 * `smarter/` takes over the keys and secrets of a Smarter platform: it reads the rows of the original, normalises them,
 * and writes them in batches. It can be run again at any time.
 *
 *     const report = await importSmarter({ sourceUrl, target, keyring, audit, clock, keepTokens: false, dryRun: true, … });
 */

import type { Knex } from 'knex';
import { deactivatedTokenEntry, keptTokens } from '../account/account-entries.js';
import { UserProfileRepository } from '../account/user-profile-repository.js';
import { OPERATOR, type AuditEntry, type AuditLog } from '../audit/audit-log.js';
import type { Keyring } from '../crypto/keyring.js';
import { schemaProblem } from '../db/migrate.js';
import type { Clock } from '../lib/clock.js';
import { forgetUnmade } from './announcements.js';
import { connectSource } from './connect-source.js';
import { Conflicts, countConflicts, forgetConflicts, ROW, type Preference } from './conflicts.js';
import { deleteVanished, heldBack, type DeletionPolicy, type VanishedKeys } from './deletions.js';
import { FreeNames } from './free-names.js';
import { importOwners } from './owner-batch.js';
import { readAccounts, readUserProfiles, readUsers } from './owner-rows.js';
import { Promotions } from './promotions.js';
import { importReferences } from './reference-batch.js';
import type { Deletion } from './removal.js';
import { renameRows } from './renames.js';
import {
  BatchReport,
  KINDS,
  ReportBuilder,
  type ImportReport,
  type Kind,
  type Note,
  type Outcome,
} from './report.js';
import { deleteRetired } from './retired-owners.js';
import { importSecrets } from './secret-batch.js';
import { readSecrets } from './secret-rows.js';
import { SeenRows } from './seen-rows.js';
import { SmarterImportError } from './smarter-import-error.js';
import { readKeys } from './source-keys.js';
import type { SourceRow } from './source-rows.js';
import type { Source } from './source.js';
import type { ReadOptions } from './tagged-rows.js';
import { SECRETS, TARGET_TABLES, TOKENS } from './target-tables.js';
import { query } from './target-store.js';
import { importTokens } from './token-batch.js';
import { readKnoxOnly, readTokens } from './token-rows.js';
import type { Tools } from './tools.js';
import { presentOf } from '../lib/instant.js';
import { slicesOf } from '../lib/slices.js';
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
  readonly deletions: DeletionPolicy;
  /** Whose value stays where a field was changed on both sides. */
  readonly prefer: Preference;
  /** Microseconds for which a deleted secret can be brought back; 0: not at all. */
  readonly retention: bigint;
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
/** foreign_key_violation, unique_violation, serialization_failure, deadlock_detected: what a concurrent writer can cause. */
const CONCURRENCY_ERRORS = new Set(['23503', '23505', '40001', '40P01']);

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
type BatchWriter<Row> = (trx: Knex.Transaction, rows: readonly Row[], report: BatchReport) => Promise<void>;

/** Work is what one transaction does, and the records of it. */
type Work<T> = (trx: Knex.Transaction) => Promise<{ readonly result: T; readonly entries: AuditEntry[] }>;

/** Rows that the source no longer has, of one transaction. */
const DELETED_AT_ONCE = 500;

class SmarterImport {
  readonly #options: ImportOptions;
  readonly #source: Source;
  readonly #holder: Knex.Transaction;
  readonly #report = new ReportBuilder();
  readonly #tools: Tools;
  /** All rows of the source; undefined at a first import. */
  #seen: SeenRows | undefined;

  constructor(options: ImportOptions, source: Source, holder: Knex.Transaction) {
    this.#options = options;
    const profiles = new UserProfileRepository(options.target);
    this.#tools = {
      keyring: options.keyring,
      conflicts: new Conflicts(options.prefer),
      promotions: new Promotions({ ...options, profiles }),
      tokenNames: new FreeNames(TOKENS),
      secretNames: new FreeNames(SECRETS),
    };
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
    if (await this.#isRepeated()) await this.#readSeen();
    if (this.#seen !== undefined) await this.#deleteVanished(this.#seen);

    const read: ReadOptions = {
      source: this.#source,
      batchSize: this.#batchSize,
      staying: (column, values) => this.#report.addStaying(column, values),
    };
    await this.#importKind('account', readAccounts(read), this.#ownersInto('account'));
    await this.#importKind('user', readUsers(read), this.#ownersInto('user'));
    await this.#importKind('user_profile', readUserProfiles(read), this.#ownersInto('user_profile'));
    await this.#importKind('token', readTokens(read), (trx, rows, report) =>
      importTokens(trx, this.#tools, rows, report),
    );
    for await (const keys of readKnoxOnly(this.#source, this.#batchSize)) {
      const what = 'left out: it has no Smarter row, so it is no API key';
      this.#report.addNotes(
        'knox-only',
        keys.map((key): Note => ({ kind: 'token', key, what })),
        keys.length,
      );
    }
    await this.#importKind('secret', readSecrets(read, this.#options.keyring), (trx, rows, report) =>
      importSecrets(trx, this.#tools, rows, report),
    );
    await this.#deleteRetired();
    const shared = { ...this.#options, source: this.#source, holder: this.#holder };
    this.#report.references = await importReferences({ ...shared, batchSize: this.#batchSize });
    for (const table of STAYING_TABLES.filter((name) => tables.has(name))) {
      this.#report.addStaying(table, await this.#countSource(table));
    }
    this.#report.setOpenConflicts(await countConflicts(this.#holder));
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
  }

  async #isRepeated(): Promise<boolean> {
    const sql = 'SELECT EXISTS (SELECT FROM import_records) AS repeated';
    const [row] = await query<{ repeated: boolean }>(this.#holder, sql);
    return row?.repeated === true;
  }

  /** #readSeen reads all keys of the source before anything is written: what is not among them is gone. */
  async #readSeen(): Promise<void> {
    const seen = await SeenRows.in(this.#holder);
    for (const kind of KINDS) {
      for await (const rows of readKeys(this.#source, kind, this.#batchSize)) await seen.add(kind, rows);
    }
    await seen.complete();
    this.#seen = seen;
  }

  /** #deleteVanished comes before all else, so that names are free. What hangs on others goes before them. */
  async #deleteVanished(seen: SeenRows): Promise<void> {
    const { deletions } = this.#options;
    const all: VanishedKeys[] = [];
    for (const kind of [...KINDS].reverse()) {
      await this.#commit(kind, async (trx) => {
        await forgetUnmade(trx, kind, seen);
        await forgetConflicts(trx, kind, ROW, await seen.returned(kind));
        return { result: undefined, entries: [] };
      });
      all.push({ kind, ...(await seen.vanished(kind)), seen: await seen.count(kind) });
    }
    const held = deletions.mode === 'apply' ? heldBack(all, deletions) : [];
    this.#report.holdDeletions(held);
    if (deletions.mode === 'report' || held.length > 0) {
      for (const gone of all) this.#noteVanished(gone);
      return;
    }
    for (const { kind, keys } of all) {
      for (const some of slicesOf(keys, () => 1, { maxItems: DELETED_AT_ONCE, maxSize: DELETED_AT_ONCE })) {
        const { count, report } = await this.#commit(kind, async (trx) => {
          const deleted = await deleteVanished(trx, kind, some, this.#deletion);
          return {
            result: deleted,
            entries: [...deleted.entries, ...importedEntry(kind, { deleted: deleted.count })],
          };
        });
        this.#report.addDeleted(kind, count, report.notes);
        // Keys that were made in Keyward for somebody who is gone are refused before anything else is done.
        await this.#deleteRetired();
      }
    }
  }

  #noteVanished({ kind, keys }: VanishedKeys): void {
    const what = 'gone from the source since it was imported: it stays in Keyward';
    const notes = keys.slice(0, 1000).map((key): Note => ({ kind, key, what }));
    this.#report.addNotes('vanished', notes, keys.length);
  }

  get #deletion(): Deletion {
    return { ...this.#options, now: presentOf(this.#options.clock) };
  }

  async #deleteRetired(): Promise<void> {
    let count: number;
    do {
      count = await this.#commit('user', async (trx) => {
        const entries = await deleteRetired(trx, this.#deletion);
        return { result: entries.length, entries };
      });
    } while (count > 0);
  }

  async #importKind<Row extends SourceRow>(
    kind: Kind,
    batches: AsyncIterable<readonly Row[]>,
    write: BatchWriter<Row>,
  ): Promise<void> {
    const total = await this.#countSource(SOURCE_TABLES[kind]);
    const renamed = await this.#rename(kind);
    for await (const rows of batches) {
      const report = await this.#commitBatch(kind, renamed, (trx, batch) => write(trx, rows, batch));
      this.#report.addBatch(kind, report);
      this.#options.onProgress?.({ kind, read: this.#report.rowsRead(kind), total });
    }
  }

  /** #rename renames rows that are in each other's way, and tells which. */
  async #rename(kind: Kind): Promise<ReadonlySet<string>> {
    if (this.#seen === undefined || kind === 'user_profile') return new Set();
    const rows = await this.#seen.inTheWay(kind);
    if (rows.length === 0) return new Set();
    const report = await this.#commitBatch(kind, new Set(), (trx, batch) =>
      renameRows(trx, kind, this.#tools, rows, batch),
    );
    // The rows themselves are counted when they are read.
    this.#report.addBatch(kind, report, { counted: false });
    return new Set(rows.map(({ key }) => key));
  }

  /** #ownersInto writes batches of accounts, users or user profiles. */
  #ownersInto(kind: Kind): BatchWriter<SourceRow> {
    return (trx, rows, report) => importOwners(trx, TARGET_TABLES[kind], this.#tools, rows, report);
  }

  /** #commitBatch writes a batch and its records in one transaction. */
  #commitBatch(
    kind: Kind,
    renamed: ReadonlySet<string>,
    write: (trx: Knex.Transaction, report: BatchReport) => Promise<void>,
  ): Promise<BatchReport> {
    return this.#commit(kind, async (trx) => {
      const report = new BatchReport(renamed);
      await write(trx, report);
      return { result: report, entries: auditEntries(kind, report, this.#options.keepTokens) };
    });
  }

  async #commit<T>(kind: Kind, work: Work<T>): Promise<T> {
    const scope = this.#options.dryRun ? this.#holder : this.#options.target;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await scope.transaction(async (trx) => {
          const { result, entries } = await work(trx);
          await this.#options.audit.record(trx, entries);
          return result;
        });
      } catch (error) {
        this.#tools.tokenNames.forget();
        this.#tools.secretNames.forget();
        if (attempt === ATTEMPTS || !isConcurrencyError(error)) throw batchFailed(kind, error);
      }
    }
  }

  async #countSource(table: string): Promise<number> {
    let count = 0;
    for await (const [row] of this.#source.rows(`SELECT count(*) AS rows_ FROM ${table}`, 1)) {
      count = Number(row?.['rows_']);
    }
    return count;
  }
}

/** auditEntries is one entry for a batch that wrote something, and one for each token that it switched off. */
function auditEntries(kind: Kind, batch: BatchReport, keepTokens: boolean): AuditEntry[] {
  const count = (outcome: Outcome): number => batch.outcomes.filter((each) => each === outcome).length;
  const written = { created: count('created'), updated: count('updated'), merged: count('merged') };
  return [
    ...importedEntry(kind, written, keptTokens(keepTokens)),
    ...batch.deactivated.map(({ token, cause }) => ({
      actor: OPERATOR,
      ...deactivatedTokenEntry(token, cause),
    })),
  ];
}

/** importedEntry tells how many rows were written; none where there were none. */
function importedEntry(
  kind: Kind,
  counts: Readonly<Record<string, number>>,
  besides: AuditEntry['detail'] = {},
): AuditEntry[] {
  const counted = Object.entries(counts).filter(([, count]) => count > 0);
  if (counted.length === 0) return [];
  const detail = { ...Object.fromEntries(counted.map(([what, count]) => [what, String(count)])), ...besides };
  return [{ actor: OPERATOR, action: 'DATA_IMPORTED', outcome: 'OK', resource: { kind, id: null }, detail }];
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
