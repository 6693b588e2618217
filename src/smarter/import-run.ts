import type { Knex } from 'knex';
import { UserProfileRepository } from '../account/user-profile-repository.js';
import type { AuditLog } from '../audit/audit-log.js';
import type { Keyring } from '../crypto/keyring.js';
import type { Clock } from '../lib/clock.js';
import { presentOf } from '../lib/instant.js';
import { slicesOf } from '../lib/slices.js';
import { Conflicts, countConflicts, forgetConflicts, ROW, type Preference } from './conflicts.js';
import { deleteVanished, heldBack, type DeletionPolicy, type VanishedKeys } from './deletions.js';
import { FreeNames } from './free-names.js';
import { Commits, importedEntry } from './import-commits.js';
import { importOwners } from './owner-batch.js';
import { readAccounts, readUserProfiles, readUsers } from './owner-rows.js';
import { Promotions } from './promotions.js';
import { importReferences } from './reference-batch.js';
import type { Deletion } from './removal.js';
import { renameRows } from './renames.js';
import { KINDS, ReportBuilder, type BatchReport, type ImportReport, type Kind, type Note } from './report.js';
import { deleteRetired } from './retired-owners.js';
import { importSecrets } from './secret-batch.js';
import { readSecrets } from './secret-rows.js';
import { SeenRows, type Subset } from './seen-rows.js';
import { SmarterImportError } from './smarter-import-error.js';
import { readKeys } from './source-keys.js';
import type { SourceRow } from './source-rows.js';
import type { Source } from './source.js';
import { wholeSubset } from './subset.js';
import type { ReadOptions } from './tagged-rows.js';
import { SECRETS, TARGET_TABLES, TOKENS } from './target-tables.js';
import { forgetRecords, query } from './target-store.js';
import { importTokens } from './token-batch.js';
import { readKnoxOnly, readTokens } from './token-rows.js';
import type { Tools } from './tools.js';

export interface Progress {
  readonly kind: Kind;
  /** Rows read so far, and how many there are. */
  readonly read: number;
  readonly total: number;
}

export interface RunOptions {
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
  /** signal ends it between two batches. */
  readonly signal?: AbortSignal;
  /** Milliseconds that the platform's database may take for an answer. */
  readonly answerLimitMs?: number;
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

/** BatchWriter writes one batch within a transaction. */
type BatchWriter<Row> = (trx: Knex.Transaction, rows: readonly Row[], report: BatchReport) => Promise<void>;

/** Rows that the source no longer has, of one transaction. */
const DELETED_AT_ONCE = 500;

/** requireSmarter throws where the source lacks tables. Gives those it has. */
export async function requireSmarter(source: Source): Promise<ReadonlySet<string>> {
  const tables = await source.tables();
  const lacking = [...Object.values(SOURCE_TABLES), ...OTHER_TABLES].filter((table) => !tables.has(table));
  if (lacking.length === 0) return tables;
  throw new SmarterImportError(
    `The source is not a Smarter database: it has no table ${lacking.join(', ')}.`,
  );
}

/** ImportRun is one import, of everything or of some rows. Whoever runs it holds the lock of imports. */
export class ImportRun {
  readonly #options: RunOptions;
  readonly #source: Source;
  /** A transaction that nothing is ever committed of: it holds what was seen, and in a dry run all that is done. */
  readonly #holder: Knex.Transaction;
  readonly #report = new ReportBuilder();
  readonly #tools: Tools;
  readonly #commits: Commits;
  /** All rows of the source, or those of the subset that are there; undefined at a first import. */
  #seen: SeenRows | undefined;
  /** False while an export may still commit in the source what this does not see. */
  readonly #isSettled: boolean;

  private constructor(options: RunOptions, source: Source, holder: Knex.Transaction, isSettled: boolean) {
    this.#options = options;
    this.#isSettled = isSettled;
    const profiles = new UserProfileRepository(options.target);
    this.#tools = {
      keyring: options.keyring,
      conflicts: new Conflicts(options.prefer),
      promotions: new Promotions({ ...options, profiles }),
      tokenNames: new FreeNames(TOKENS),
      secretNames: new FreeNames(SECRETS),
    };
    const scope = options.dryRun ? holder : options.target;
    this.#commits = new Commits({ ...options, scope, tools: this.#tools });
    this.#source = source;
    this.#holder = holder;
  }

  /** begin begins the view of the source. */
  static async begin(
    options: RunOptions,
    source: Source,
    holder: Knex.Transaction,
    reads: 'everything' | 'few rows',
  ): Promise<ImportRun> {
    const isSettled = await source.isSettled();
    await source.renew(reads);
    return new ImportRun(options, source, holder, isSettled);
  }

  /** everything takes over all rows, and what refers to them. */
  async everything(): Promise<ImportReport> {
    const tables = await requireSmarter(this.#source);
    if (await this.#isRepeated()) this.#seen = await this.#readSeen();
    if (this.#seen !== undefined) await this.#deleteVanished(this.#seen, KINDS);

    await this.#takeOver(KINDS, (_kind) => undefined);
    for await (const keys of readKnoxOnly(this.#source, this.#batchSize)) {
      const what = 'left out: it has no Smarter row, so it is no API key';
      this.#report.addNotes(
        'knox-only',
        keys.map((key): Note => ({ kind: 'token', key, what })),
        keys.length,
      );
    }
    await this.#deleteRetired();
    await this.#importReferences();
    for (const table of STAYING_TABLES.filter((name) => tables.has(name))) {
      this.#report.addStaying(table, await this.#countSource(table));
    }
    return this.#finished();
  }

  /**
   * only takes over rows that may have changed: those of these keys, and what they depend on or stand in the way of. Those
   * that the source does not have are deleted.
   */
  async only(wanted: Subset): Promise<ImportReport> {
    const { subset, rows } = await wholeSubset(this.#source, this.#holder, wanted);
    const kinds = KINDS.filter((kind) => (subset.get(kind)?.size ?? 0) > 0);
    this.#seen = SeenRows.of(this.#holder, subset, rows);
    await this.#deleteVanished(this.#seen, kinds);
    await this.#takeOver(kinds, (kind) => subset.get(kind));
    await this.#deleteRetired();
    return this.#finished();
  }

  /** references takes over who uses tokens and secrets, and nothing else. */
  async references(): Promise<ImportReport> {
    await this.#importReferences();
    return this.#finished();
  }

  get #batchSize(): number {
    return this.#options.batchSize ?? 2000;
  }

  async #finished(): Promise<ImportReport> {
    this.#report.setOpenConflicts(await countConflicts(this.#holder));
    return this.#report.build(this.#options.dryRun);
  }

  async #importReferences(): Promise<void> {
    const shared = { ...this.#options, source: this.#source, holder: this.#holder };
    this.#report.references = await importReferences({ ...shared, batchSize: this.#batchSize });
  }

  /** #takeOver reads and writes kinds in their order. */
  async #takeOver(
    kinds: readonly Kind[],
    only: (kind: Kind) => ReadonlySet<string> | undefined,
  ): Promise<void> {
    for (const kind of kinds) {
      const read: ReadOptions = {
        source: this.#source,
        batchSize: this.#batchSize,
        staying: (column, values) => this.#report.addStaying(column, values),
        only: only(kind),
      };
      switch (kind) {
        case 'account':
          await this.#importKind(kind, readAccounts(read), this.#ownersInto(kind));
          break;
        case 'user':
          await this.#importKind(kind, readUsers(read), this.#ownersInto(kind));
          break;
        case 'user_profile':
          await this.#importKind(kind, readUserProfiles(read), this.#ownersInto(kind));
          break;
        case 'token':
          await this.#importKind(kind, readTokens(read), (trx, rows, report) =>
            importTokens(trx, this.#tools, rows, report),
          );
          break;
        case 'secret':
          await this.#importKind(kind, readSecrets(read, this.#options.keyring), (trx, rows, report) =>
            importSecrets(trx, this.#tools, rows, report),
          );
      }
    }
  }

  async #isRepeated(): Promise<boolean> {
    const sql = 'SELECT EXISTS (SELECT FROM import_records) AS repeated';
    const [row] = await query<{ repeated: boolean }>(this.#holder, sql);
    return row?.repeated === true;
  }

  /** #readSeen reads all keys of the source before anything is written: what is not among them is gone. */
  async #readSeen(): Promise<SeenRows> {
    const seen = await SeenRows.in(this.#holder);
    for (const kind of KINDS) {
      for await (const rows of readKeys(this.#source, kind, this.#batchSize)) await seen.add(kind, rows);
    }
    await seen.complete();
    return seen;
  }

  /** #deleteVanished comes before all else, so that names are free. What hangs on others goes before them. */
  async #deleteVanished(seen: SeenRows, kinds: readonly Kind[]): Promise<void> {
    const { deletions } = this.#options;
    const all: VanishedKeys[] = [];
    for (const kind of kinds.toReversed()) {
      const returned = await seen.returned(kind);
      const unmade = this.#isSettled ? await seen.unmade(kind) : [];
      if (returned.length + unmade.length > 0) {
        await this.#commits.make(kind, async (trx) => {
          await forgetConflicts(trx, kind, ROW, returned);
          await forgetRecords(trx, kind, unmade);
          return { result: undefined, entries: [] };
        });
      }
      all.push({ kind, ...(await seen.vanished(kind)) });
    }
    const held = deletions.mode === 'apply' ? heldBack(all, deletions) : [];
    this.#report.holdDeletions(held);
    if (deletions.mode === 'report' || held.length > 0) {
      for (const gone of all) this.#noteVanished(gone);
      return;
    }
    for (const { kind, keys } of all) {
      for (const some of slicesOf(keys, () => 1, { maxItems: DELETED_AT_ONCE, maxSize: DELETED_AT_ONCE })) {
        const { count, report } = await this.#commits.make(kind, async (trx) => {
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
      count = await this.#commits.make('user', async (trx) => {
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
    const { onProgress } = this.#options;
    const total = onProgress === undefined ? 0 : await this.#countSource(SOURCE_TABLES[kind]);
    const renamed = await this.#rename(kind);
    for await (const rows of batches) {
      this.#options.signal?.throwIfAborted();
      const report = await this.#commits.batch(kind, renamed, (trx, batch) => write(trx, rows, batch));
      this.#report.addBatch(kind, report);
      onProgress?.({ kind, read: this.#report.rowsRead(kind), total });
    }
  }

  /** #rename renames rows that are in each other's way, and tells which. */
  async #rename(kind: Kind): Promise<ReadonlySet<string>> {
    if (this.#seen === undefined || kind === 'user_profile') return new Set();
    const rows = await this.#seen.inTheWay(kind);
    if (rows.length === 0) return new Set();
    const report = await this.#commits.batch(kind, new Set(), (trx, batch) =>
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

  async #countSource(table: string): Promise<number> {
    let count = 0;
    for await (const [row] of this.#source.rows(`SELECT count(*) AS rows_ FROM ${table}`, 1)) {
      count = Number(row?.['rows_']);
    }
    return count;
  }
}
