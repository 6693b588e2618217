import { Command } from 'commander';
import { migrate } from '../db/migrate.js';
import { printJsonLine, printLine } from './output.js';
import { withTargetUrl } from './target-database.js';

/** migrateCommand is `keyward migrate`. */
export function migrateCommand(): Command {
  return new Command('migrate')
    .description('Bring the schema of the database up to date (DATABASE_URL, or the embedded one).')
    .option('--json', 'print the result as JSON')
    .action(async ({ json }: { json?: true }) => {
      const applied = await withTargetUrl((url) => migrate(url));
      if (json === true) printJsonLine({ applied });
      else printLine(applied.length === 0 ? 'The schema is up to date.' : `Applied ${applied.join(', ')}.`);
    });
}
