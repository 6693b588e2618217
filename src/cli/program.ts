import { Command, CommanderError } from 'commander';
import { auditCommand } from './audit.js';
import { bootstrapCommand } from './bootstrap.js';
import { callCommand } from './call.js';
import { failureLine } from './failure.js';
import { healthCommand } from './health.js';
import { importSmarterCommand } from './import-smarter.js';
import { keysCommand } from './keys.js';
import { migrateCommand } from './migrate.js';
import { printErrorText, printText } from './output.js';
import { secretCommand } from './secret.js';
import { serveCommand } from './serve.js';
import { upgradeDatabaseCommand } from './upgrade-database.js';
import { validateCommand } from './validate.js';
import { version } from './version.js';

const program = new Command('keyward')
  .description(
    'Keeps API keys and secrets for a platform of other services: judges the keys, and gives the secrets out.',
  )
  .version(version())
  .showHelpAfterError('(add --help for what is possible)')
  .addCommand(serveCommand())
  .addCommand(migrateCommand())
  .addCommand(bootstrapCommand())
  .addCommand(upgradeDatabaseCommand())
  .addCommand(importSmarterCommand())
  .addCommand(auditCommand())
  .addCommand(keysCommand())
  .addCommand(secretCommand())
  .addCommand(validateCommand())
  .addCommand(callCommand())
  .addCommand(healthCommand());

printSafely(program);
try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) printErrorText(`${failureLine(error)}\n`);
  process.exitCode = 1;
}

/** printSafely lets commander's own texts, which quote arguments, take the same way to the terminal as all others. */
function printSafely(command: Command): void {
  command.configureOutput({ writeOut: printText, writeErr: printErrorText });
  for (const subcommand of command.commands) printSafely(subcommand);
}
