import type { Command } from 'commander';
import { AuditLog } from '../audit/audit-log.js';
import { ChainRepository } from '../audit/chain-repository.js';
import { systemClock } from '../lib/clock.js';
import { importSmarter, type Progress } from '../smarter/import-smarter.js';
import { formatReport } from '../smarter/report-text.js';
import { printJson, printText, showLine } from './io/output.js';
import { onPlatform, platformUrl } from './platform-database.js';
import { withTargetDatabase } from './target-database.js';

interface Options {
  readonly from?: string;
  readonly dryRun?: boolean;
  readonly keepTokens?: boolean;
  readonly json?: true;
}

const HELP = `
The URL is postgres://user:password@host/database or mysql://user:password@host/database; give it in
KEYWARD_IMPORT_FROM, since others on this machine can read a command line. The account needs to read only.
Beyond this machine the connection is TLS, and the certificate is verified, unless the URL says sslmode=no-verify or
sslmode=disable; sslrootcert=FILE names the authority.
The target is the database of DATABASE_URL, or else the embedded one of KEYWARD_DATA_DIR; it must be there already
("keyward migrate").

Accounts, users, user profiles, API keys and secrets are taken over with their public ids; passwords never.
Configure the keys that Smarter encrypted its secrets with in KEYWARD_FERNET_KEYS, any key of Keyward's own first.
It may be run again at any time, also after it was interrupted: it then takes over what changed in the source
since, and neither undoes changes made in Keyward nor brings back what was deleted there.
Where it makes a user staff or superuser, or a member of another account, tokens that someone else issued in Keyward
for that user are switched off and reported, unless --keep-tokens is given. Keys of the platform go on working.
A dry run does the same work in one transaction that it rolls back; rows it would change are locked meanwhile.

A service that is running hears of each batch when it is committed.`;

/** importSmarterCommand is `keyward import-smarter`. */
export function importSmarterCommand(command: Command): void {
  command
    .option(
      '--from <URL>',
      "database of the Smarter platform (or KEYWARD_IMPORT_FROM; the user's password is never printed)",
    )
    .option('--dry-run', 'compute and report everything, write nothing')
    .option(
      '--keep-tokens',
      'leave tokens switched on that someone else issued for users whom this import promotes',
    )
    .option('--json', 'print the report as JSON')
    .addHelpText('after', HELP)
    .action(async ({ from, dryRun = false, keepTokens = false, json }: Options) => {
      const sourceUrl = platformUrl({ flag: '--from', given: from, variable: 'KEYWARD_IMPORT_FROM' });
      const report = await withTargetDatabase(
        (target, keyring) =>
          onPlatform(sourceUrl, () =>
            importSmarter({
              sourceUrl,
              target,
              keyring,
              audit: new AuditLog({ chains: new ChainRepository(target), keys: keyring, clock: systemClock }),
              clock: systemClock,
              dryRun,
              keepTokens,
              onProgress: showProgress,
            }),
          ),
        { mustExist: true },
      );
      if (json === true) printJson(report);
      else printText(formatReport(report));
    });
}

function showProgress({ kind, read, total }: Progress): void {
  showLine(`${kind.replace('_', ' ')}s: ${read} of ${total}`);
}
