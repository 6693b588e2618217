/**
 * `smarter/` takes over the keys and secrets of a Smarter platform: it reads the rows of the original, normalises them,
 * and writes them in batches. It can be run again at any time.
 *
 *     const report = await importSmarter({ sourceUrl, target, keyring, audit, clock, keepTokens: false, dryRun: true, … });
 */

import { schemaProblem } from '../db/migrate.js';
import { connectSource } from './connect-source.js';
import { alone } from './import-lock.js';
import { ImportRun, type RunOptions } from './import-run.js';
import type { ImportReport } from './report.js';
import { SmarterImportError } from './smarter-import-error.js';

export interface ImportOptions extends RunOptions {
  /** postgres://, postgresql://, mysql:// or mariadb:// URL of the Smarter platform's database. */
  readonly sourceUrl: string;
}

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
  const source = await connectSource(options.sourceUrl, options.answerLimitMs);
  try {
    return await alone(options.target, async (holder) =>
      (await ImportRun.begin(options, source, holder, 'everything')).everything(),
    );
  } finally {
    await source.close();
  }
}
