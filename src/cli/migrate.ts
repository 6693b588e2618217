import type { Command } from 'commander';
import { migrate } from '../db/migrate.js';
import { printJsonLine, printLine } from './io/output.js';
import { withTargetUrl } from './target-database.js';

/** migrateCommand is `keyward migrate`. */
export function migrateCommand(command: Command): void {
  command.option('--json', 'print the result as JSON').action(async ({ json }: { json?: true }) => {
    const { applied, newer } = await withTargetUrl((url) => migrate(url));
    if (json === true) printJsonLine({ applied, newer });
    else printLine(told(applied, newer));
  });
}

function told(applied: readonly string[], newer: readonly string[]): string {
  const done = applied.length === 0 ? 'The schema is up to date.' : `Applied ${applied.join(', ')}.`;
  if (newer.length === 0) return done;
  return `${done} A newer version has made it (${newer.join(', ')}); it serves this one too.`;
}
