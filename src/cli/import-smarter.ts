import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Knex } from 'knex';
import { AuditLog } from '../audit/audit-log.js';
import { ChainRepository } from '../audit/chain-repository.js';
import type { Keyring } from '../crypto/keyring.js';
import { systemClock } from '../lib/clock.js';
import { MICROSECONDS_A_DAY } from '../lib/instant.js';
import type { Preference } from '../smarter/conflicts.js';
import type { DeletionPolicy } from '../smarter/deletions.js';
import { followImport } from '../smarter/follow/follow-import.js';
import type { Progress, RunOptions } from '../smarter/import-run.js';
import { importSmarter } from '../smarter/import-smarter.js';
import { formatReport } from '../smarter/report-text.js';
import { addFollowOptions, FOLLOW_HELP, following, type FollowFlags } from './follow.js';
import { io } from './io/io.js';
import { printJson, printText, showLine } from './io/output.js';
import { conflictsCommand, resolveCommand } from './import-conflicts.js';
import {
  addPlatformOptions,
  answerLimitOf,
  onPlatform,
  platformUrl,
  withoutPassword,
  type PlatformFlags,
} from './platform-database.js';
import { readConfig } from './read-config.js';
import { withTargetDatabase } from './target-database.js';

interface Options extends FollowFlags, PlatformFlags {
  readonly from?: string;
  readonly dryRun?: boolean;
  readonly keepTokens?: boolean;
  readonly deletions: DeletionPolicy['mode'];
  readonly maxDeletions: number;
  readonly force?: boolean;
  readonly prefer: Preference;
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
What is gone from the source is deleted in Keyward too: keys are revoked, secrets can be brought back for
KEYWARD_SECRET_RETENTION_DAYS. Where more rows of a kind are gone than --max-deletions percent (three are always
allowed, if these are no more than half), nothing is deleted, and the command ends with exit code 1 after its report.
What was changed on both sides, or changed in Keyward and deleted in the source, is a conflict: it is reported, and
listed by "keyward import-smarter conflicts" until "keyward import-smarter resolve" settles it.
Where it makes a user staff or superuser, or a member of another account, tokens that someone else issued in Keyward
for that user are switched off and reported, unless --keep-tokens is given. Keys of the platform go on working.
A dry run does the same work in one transaction that it rolls back; rows it would change are locked meanwhile.

A service that is running hears of each batch when it is committed.
${FOLLOW_HELP}
It looks for what changed by the times of the source's rows and, slice by slice, by sums over all rows, so that nothing is
missed; an account that may only read is enough.`;

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
    .addOption(
      new Option('--deletions <mode>', 'delete what is gone from the source, or only report it')
        .choices(['apply', 'report'])
        .default('apply'),
    )
    .option('--max-deletions <percent>', 'most rows of a kind to delete, 1 to 100', percent, 10)
    .option('--force', 'delete what is gone from the source, however much it is')
    .addOption(
      new Option(
        '--prefer <side>',
        'whose value stays where both sides changed a field: by default the one that lets in less (switched off, expiring earlier), or else that of the source',
      )
        .choices(['safer', 'keyward', 'source'])
        .default('safer'),
    )
    .option('--json', 'print the report as JSON')
    .addHelpText('after', HELP)
    .addCommand(conflictsCommand())
    .addCommand(resolveCommand());
  addFollowOptions(addPlatformOptions(command)).action(async (given: Options) => {
    const sourceUrl = platformUrl({ flag: '--from', given: given.from, variable: 'KEYWARD_IMPORT_FROM' });
    if (given.follow === true) await followSource(sourceUrl, given);
    else await importOnce(sourceUrl, given);
  });
}

async function importOnce(sourceUrl: string, given: Options): Promise<void> {
  const report = await withTargetDatabase(
    (target, keyring) =>
      onPlatform(sourceUrl, () =>
        importSmarter({
          ...importOptions(target, keyring, given),
          sourceUrl,
          dryRun: given.dryRun === true,
          onProgress: showProgress,
        }),
      ),
    { mustExist: true },
  );
  if (given.json === true) printJson(report);
  else printText(formatReport(report));
  if (report.heldDeletions.length > 0) {
    throw new Error(
      'nothing was deleted, since the source lacks too many rows: look at it, then give --force',
    );
  }
}

async function followSource(sourceUrl: string, given: Options): Promise<void> {
  if (given.dryRun === true) throw new Error('--follow and --dry-run exclude each other');
  await following('import', given, ({ show, tell, ...each }) =>
    withTargetDatabase(
      (target, keyring) =>
        onPlatform(sourceUrl, () =>
          followImport(
            {
              ...{ ...importOptions(target, keyring, given), ...each, sourceUrl, onReport: show },
              tell: (line) => tell(withoutPassword(line, sourceUrl)),
            },
            each.signal,
          ),
        ),
      { mustExist: true, endsBySignal: true },
    ),
  );
}

function importOptions(target: Knex, keyring: Keyring, given: Options): Omit<RunOptions, 'dryRun'> {
  return {
    target,
    keyring,
    audit: new AuditLog({ chains: new ChainRepository(target), keys: keyring, clock: systemClock }),
    clock: systemClock,
    keepTokens: given.keepTokens === true,
    deletions: { mode: given.deletions, maxPercent: given.maxDeletions, force: given.force === true },
    prefer: given.prefer,
    ...answerLimitOf(given),
    retention: BigInt(readConfig(io().env).secretRetentionDays) * MICROSECONDS_A_DAY,
  };
}

function percent(text: string): number {
  if (/^([1-9]\d?|100)$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number from 1 to 100.');
}

function showProgress({ kind, read, total }: Progress): void {
  showLine(`${kind.replace('_', ' ')}s: ${read} of ${total}`);
}
