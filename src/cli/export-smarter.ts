import type { Command } from 'commander';
import type { Knex } from 'knex';
import { AuditLog } from '../audit/audit-log.js';
import { ChainRepository } from '../audit/chain-repository.js';
import type { Keyring } from '../crypto/keyring.js';
import { systemClock } from '../lib/clock.js';
import { formatExport } from '../smarter/export/export-report.js';
import type { ExportRunOptions } from '../smarter/export/export-run.js';
import { exportSmarter } from '../smarter/export/export-smarter.js';
import { followExport } from '../smarter/export/follow-export.js';
import { addFollowOptions, FOLLOW_HELP, following, type FollowFlags } from './follow.js';
import { printJson, printText, showLine } from './io/output.js';
import {
  addPlatformOptions,
  answerLimitOf,
  onPlatform,
  platformUrl,
  withoutPassword,
  type PlatformFlags,
} from './platform-database.js';
import { withTargetDatabase } from './target-database.js';

interface Options extends FollowFlags, PlatformFlags {
  readonly to?: string;
  readonly secretKey: string;
  readonly allScopes?: boolean;
  readonly dryRun?: boolean;
  readonly json?: true;
}

const HELP = `
The URL is as for "keyward import-smarter"; its account must be able to write the tables of users, API keys, secrets and
tags. Give it in KEYWARD_EXPORT_TO, since others on this machine can read a command line.

Keys and secrets that were made, changed, rotated, revoked, deleted or used in Keyward are written into the platform's
tables, and users who were switched on or off. Keys go on working as they are, since both keep the same digests.
Values of secrets are encrypted with the key of KEYWARD_FERNET_KEYS that --secret-key names by its id ("keyward keys
status" lists them): the one that the platform has. Every value that leaves is recorded in the audit log before.
What the platform has no place for is reported. A key with narrower scopes is written switched off, since the platform
would let it do everything, unless --all-scopes is given.

It may be run again at any time: it writes only what the two do not agree on, and the next import does not take that
for a change. Import before, so that it knows what was changed on the platform.
${FOLLOW_HELP}
It may run beside "keyward import-smarter --follow": neither takes what the other wrote for a change.`;

/** exportSmarterCommand is `keyward export-smarter`. */
export function exportSmarterCommand(command: Command): void {
  command
    .option(
      '--to <URL>',
      "database of the Smarter platform (or KEYWARD_EXPORT_TO; the user's password is never printed)",
    )
    .requiredOption('--secret-key <KEY_ID>', 'the key that the platform decrypts secrets with')
    .option(
      '--all-scopes',
      'write keys with narrower scopes switched on, although they may do everything there',
    )
    .option('--dry-run', 'compute and report everything, write nothing')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', HELP);
  addFollowOptions(addPlatformOptions(command)).action(async (given: Options) => {
    const url = platformUrl({ flag: '--to', given: given.to, variable: 'KEYWARD_EXPORT_TO' });
    if (given.follow === true) await followTo(url, given);
    else await exportOnce(url, given);
  });
}

async function exportOnce(url: string, given: Options): Promise<void> {
  const report = await withTargetDatabase(
    (target, keyring) => {
      const options = exportOptions(target, keyring, given);
      const dryRun = given.dryRun === true;
      return onPlatform(url, () =>
        exportSmarter({ ...options, platformUrl: url, dryRun, onProgress: showProgress }),
      );
    },
    { mustExist: true },
  );
  if (given.json === true) printJson(report);
  else printText(formatExport(report));
}

async function followTo(url: string, given: Options): Promise<void> {
  if (given.dryRun === true) throw new Error('--follow and --dry-run exclude each other');
  await following('export', given, ({ show, tell, signal, ...each }) =>
    withTargetDatabase(
      (target, keyring) => {
        const options = {
          ...{ ...exportOptions(target, keyring, given), ...each, clock: systemClock },
          tell: (line: string) => tell(withoutPassword(line, url)),
        };
        return onPlatform(url, () => followExport({ ...options, platformUrl: url, onReport: show }, signal));
      },
      { mustExist: true, endsBySignal: true },
    ),
  );
}

function exportOptions(target: Knex, keyring: Keyring, given: Options): Omit<ExportRunOptions, 'dryRun'> {
  const { secretKey: keyId, allScopes = false } = given;
  requireKey(keyring, keyId);
  const audit = new AuditLog({ chains: new ChainRepository(target), keys: keyring, clock: systemClock });
  return { target, keyring, keyId, audit, allScopes, ...answerLimitOf(given) };
}

function requireKey(keyring: Keyring, keyId: string): void {
  if (keyring.has(keyId)) return;
  throw new Error(`--secret-key: KEYWARD_FERNET_KEYS has no key ${keyId}, but ${keyring.keyIds.join(', ')}`);
}

function showProgress(rows: number): void {
  showLine(`rows: ${rows}`);
}
