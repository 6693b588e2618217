import { Command } from 'commander';
import { AuditRepository } from '../audit/audit-repository.js';
import { verifyAudit } from '../audit/verify.js';
import { readHeads, writeHeads } from './audit-heads.js';
import { formatReport, reportJson } from './audit-report.js';
import { printJsonText, printText, showLine } from './io/output.js';
import { addTo } from './repeatable.js';
import { withTargetDatabase } from './target-database.js';

interface Options {
  readonly json?: true;
  readonly heads: readonly string[];
  readonly saveHeads?: string;
}

const HELP = `
Every record is authenticated, with the one before it, by a key derived from those of KEYWARD_FERNET_KEYS: give
older keys too, after the first one, for the records that were written with them. What this cannot see by
itself is that the newest records of a chain, or a whole chain, were removed together with the chain's row while
the service did not run. Compare with heads that are kept outside the database: those that the service writes to
KEYWARD_AUDIT_HEADS_FILE, or those that you save here. They are saved only if nothing is wrong.

It ends with exit code 1 if anything is wrong or cannot be checked.`;

/** auditCommand is `keyward audit`. */
export function auditCommand(command: Command): void {
  command.addCommand(verifyCommand());
}

function verifyCommand(): Command {
  return new Command('verify')
    .description(
      'Find records of the audit log that were changed, removed or inserted (DATABASE_URL, or embedded).',
    )
    .option('--heads <FILE>', 'compare with the heads in this file; may be given several times', addTo, [])
    .option('--save-heads <FILE>', 'save how far each chain is in this file')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', HELP)
    .action(async ({ json, heads, saveHeads }: Options) => {
      const savedHeads = await readHeads(heads);
      const report = await withTargetDatabase(
        (knex, keys) =>
          verifyAudit({ events: new AuditRepository(knex), keys, savedHeads, onProgress: showProgress }),
        { mustExist: true },
      ).finally(() => showLine(''));
      if (json === true) printJsonText(reportJson(report));
      else printText(formatReport(report));
      if (!report.isIntact) throw new Error('the audit log is not proved to be as it was written');
      if (saveHeads !== undefined) await writeHeads(saveHeads, report.heads);
    });
}

function showProgress(checked: bigint, total: bigint): void {
  showLine(`records: ${checked} of ${total}`);
}
