import type { Knex } from 'knex';
import { deactivatedTokenEntry, keptTokens } from '../account/account-entries.js';
import { OPERATOR, type AuditEntry, type AuditLog } from '../audit/audit-log.js';
import { hasCode } from '../lib/errno.js';
import { BatchReport, type Kind, type Outcome } from './report.js';
import { SmarterImportError } from './smarter-import-error.js';
import type { Tools } from './tools.js';

/** How often a batch is tried that fails because something else writes at the same time. */
const ATTEMPTS = 5;
/** foreign_key_violation, unique_violation, serialization_failure, deadlock_detected: what a concurrent writer can cause. */
const CONCURRENCY_ERRORS = ['23503', '23505', '40001', '40P01'];

/** Work is what one transaction does, and the records of it. */
export type Work<T> = (
  trx: Knex.Transaction,
) => Promise<{ readonly result: T; readonly entries: readonly AuditEntry[] }>;

export interface CommitOptions {
  /** Where transactions are made; in a dry run, the one that is rolled back. */
  readonly scope: Knex;
  readonly audit: AuditLog;
  readonly keepTokens: boolean;
  readonly tools: Pick<Tools, 'tokenNames' | 'secretNames'>;
}

/** Commits makes the transactions of an import: each with its records, and again where something else wrote meanwhile. */
export class Commits {
  readonly #options: CommitOptions;

  constructor(options: CommitOptions) {
    this.#options = options;
  }

  /** batch writes a batch of rows. */
  batch(
    kind: Kind,
    renamed: ReadonlySet<string>,
    write: (trx: Knex.Transaction, report: BatchReport) => Promise<void>,
  ): Promise<BatchReport> {
    return this.make(kind, async (trx) => {
      const report = new BatchReport(renamed);
      await write(trx, report);
      return { result: report, entries: auditEntries(kind, report, this.#options.keepTokens) };
    });
  }

  /** make does other work about rows of a kind. */
  async make<T>(kind: Kind, work: Work<T>): Promise<T> {
    const { scope, audit, tools } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await scope.transaction(async (trx) => {
          const { result, entries } = await work(trx);
          await audit.record(trx, entries);
          return result;
        });
      } catch (error) {
        tools.tokenNames.forget();
        tools.secretNames.forget();
        if (attempt === ATTEMPTS || !hasCode(error, ...CONCURRENCY_ERRORS)) throw batchFailed(kind, error);
      }
    }
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
export function importedEntry(
  kind: Kind,
  counts: Readonly<Record<string, number>>,
  besides: AuditEntry['detail'] = {},
): AuditEntry[] {
  const counted = Object.entries(counts).filter(([, count]) => count > 0);
  if (counted.length === 0) return [];
  const detail = { ...Object.fromEntries(counted.map(([what, count]) => [what, String(count)])), ...besides };
  return [{ actor: OPERATOR, action: 'DATA_IMPORTED', outcome: 'OK', resource: { kind, id: null }, detail }];
}

/** batchFailed hides the statement and its values. */
function batchFailed(kind: Kind, cause: unknown): SmarterImportError {
  const rows = kind.replace('_', ' ');
  return new SmarterImportError(
    `A batch of ${rows} rows could not be written: ${reasonOf(cause)}. Earlier batches were; run it again.`,
    { cause },
  );
}

/** reasonOf is the reason of a failure, without the statement and its values, which drivers put before it. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join('; ');
  const text = error instanceof Error ? error.message : String(error);
  return text.slice(text.lastIndexOf(' - ') + 1).replace(/^- /, '');
}
