/**
 * `export/` is the way back: it writes what was made, changed, revoked and used in Keyward into the tables of the platform
 * that was taken over, so that the platform can judge its keys by itself again.
 *
 *     const report = await exportSmarter({ platformUrl, source: knex, keyring, keyId, audit, clock, … });
 */

import { schemaProblem } from '../../db/migrate.js';
import { connectPlatform } from '../connect-source.js';
import { alone } from '../import-lock.js';
import { SmarterImportError } from '../smarter-import-error.js';
import type { ExportReport } from './export-report.js';
import { ExportRun, type ExportRunOptions } from './export-run.js';

export interface ExportOptions extends ExportRunOptions {
  /** URL of the Smarter platform's database, as for an import; its user must be able to write. */
  readonly platformUrl: string;
}

/**
 * exportSmarter brings a platform up to date with Keyward. It may be repeated, also after it was interrupted: it writes
 * only what both sides do not agree on yet, and what it wrote is not a change for the next import.
 *
 * @throws SmarterImportError where the database is no Smarter database, Keyward's schema is not up to date, or another
 * import or export is running
 */
export async function exportSmarter(options: ExportOptions): Promise<ExportReport> {
  const problem = await schemaProblem(options.target);
  if (problem !== undefined) throw new SmarterImportError(`Nothing can be exported: ${problem}.`);
  const platform = await connectPlatform(options.platformUrl, options.answerLimitMs);
  try {
    return await alone(options.target, () => new ExportRun(options, platform).everything());
  } finally {
    await platform.close();
  }
}
