#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { bootstrapCommand } from './bootstrap.js';
import { callCommand } from './call.js';
import { failureLine } from './failure.js';
import { healthCommand } from './health.js';
import { importSmarterCommand } from './import-smarter.js';
import { migrateCommand } from './migrate.js';
import { serveCommand } from './serve.js';
import { validateCommand } from './validate.js';
import { version } from './version.js';

const program = new Command('keyward')
  .description(
    'Keeps API keys for a platform of other services, and judges the keys that their clients present.',
  )
  .version(version())
  .showHelpAfterError('(add --help for what is possible)')
  .addCommand(serveCommand())
  .addCommand(migrateCommand())
  .addCommand(bootstrapCommand())
  .addCommand(importSmarterCommand())
  .addCommand(validateCommand())
  .addCommand(callCommand())
  .addCommand(healthCommand());

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) process.stderr.write(`${failureLine(error)}\n`);
  process.exitCode = 1;
}
