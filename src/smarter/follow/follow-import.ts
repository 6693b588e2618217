import { FOLLOW_IMPORT_LOCK } from '../../db/advisory-locks.js';
import { connectSource } from '../connect-source.js';
import { alone } from '../import-lock.js';
import { ImportRun, requireSmarter, type RunOptions } from '../import-run.js';
import type { ImportReport } from '../report.js';
import type { Source } from '../source.js';
import { ChangeFinder } from './change-finder.js';
import type { FollowStatus } from './follow-status.js';
import { follow, type Session } from './follower.js';
import { referenceSums } from './reference-watch.js';
import { withoutIndex } from './watched-tables.js';

export interface FollowImportOptions extends Omit<RunOptions, 'dryRun' | 'signal'> {
  /** URL of the Smarter platform's database, as for an import. Its account needs to read only. */
  readonly sourceUrl: string;
  readonly intervalMs: number;
  readonly status: FollowStatus;
  readonly tell: (line: string) => void;
  /** onReport is given the report of each import that this makes. */
  readonly onReport: (report: ImportReport) => void;
}

/** If more rows have changed, everything is read: that is cheaper, and safer where much is gone. */
const MANY = 2_000;
/** How often it is looked whether who uses keys and secrets has changed. */
const REFERENCES_MS = 60_000;

/**
 * followImport keeps Keyward in step with a Smarter platform until the signal is aborted. It begins with an import of
 * everything; from then on it takes over what changes, as an import would.
 */
export function followImport(options: FollowImportOptions, signal: AbortSignal): Promise<void> {
  let isFirst = true;
  const open = async (): Promise<Session> => {
    const source = await connectSource(options.sourceUrl, options.answerLimitMs);
    try {
      await requireSmarter(source);
      if (isFirst) await tellOfIndexes(source, options.tell);
      isFirst = false;
      return new ImportSession({ ...options, signal }, source);
    } catch (error) {
      await source.close();
      throw error;
    }
  };
  return follow({ ...options, lock: FOLLOW_IMPORT_LOCK, open }, signal);
}

async function tellOfIndexes(source: Source, tell: (line: string) => void): Promise<void> {
  for (const table of await withoutIndex(source)) {
    tell(`the source has no index on ${table} (updated_at): changes are found a slice at a time alone`);
  }
}

class ImportSession implements Session {
  readonly #options: FollowImportOptions & { readonly signal: AbortSignal };
  readonly #source: Source;
  #finder: ChangeFinder | undefined;
  #references = '';
  #referencesAt = 0;

  constructor(options: FollowImportOptions & { readonly signal: AbortSignal }, source: Source) {
    this.#options = options;
    this.#source = source;
  }

  async begin(): Promise<void> {
    const { clock, status } = this.#options;
    const viewedAt = clock.now();
    await this.#import('everything', async (run) => {
      const finder = await ChangeFinder.begin(this.#source);
      const references = await referenceSums(this.#source);
      // What is held is looked for again.
      status.heldDeletions = 0;
      const report = await run.everything();
      [this.#finder, this.#references, this.#referencesAt] = [finder, references, viewedAt];
      return report;
    });
    status.caughtUp(viewedAt);
  }

  async cycle(): Promise<void> {
    const { clock, status } = this.#options;
    const finder = this.#finder;
    if (finder === undefined || finder.isOutgrown) return this.begin();
    const viewedAt = clock.now();
    await this.#source.renew('few rows');
    const found = await finder.find(this.#source);
    if (found.count > MANY) return this.begin();
    if (found.count > 0) await this.#import('few rows', (run) => run.only(found.subset));
    found.keep();
    if (clock.now() - this.#referencesAt >= REFERENCES_MS) await this.#followReferences();
    status.done(viewedAt, finder.round);
  }

  async close(): Promise<void> {
    await this.#source.close();
  }

  async #followReferences(): Promise<void> {
    this.#referencesAt = this.#options.clock.now();
    await this.#source.renew('everything');
    const sums = await referenceSums(this.#source);
    if (sums === this.#references) return;
    await this.#import('everything', (run) => run.references());
    this.#references = sums;
  }

  /** #import begins its view of the source when no export can write there any more. */
  async #import(
    reads: 'everything' | 'few rows',
    work: (run: ImportRun) => Promise<ImportReport>,
  ): Promise<void> {
    const { target, status, onReport } = this.#options;
    const options = { ...this.#options, dryRun: false };
    const report = await alone(target, async (holder) =>
      work(await ImportRun.begin(options, this.#source, holder, reads)),
    );
    status.openConflicts = report.openConflicts;
    status.heldDeletions += report.heldDeletions.reduce((sum, { vanished }) => sum + vanished, 0);
    for (const [kind, { created, updated, merged, deleted }] of Object.entries(report.counts)) {
      for (const [outcome, count] of Object.entries({ created, updated, merged, deleted })) {
        status.wrote(kind, outcome, count);
      }
    }
    onReport(report);
  }
}
