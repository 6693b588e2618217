import { Command, InvalidArgumentError, Option } from 'commander';
import { AuditLog } from '../audit/audit-log.js';
import { ChainRepository } from '../audit/chain-repository.js';
import { systemClock } from '../lib/clock.js';
import { formatPgTimestamp, MICROSECONDS_A_DAY } from '../lib/instant.js';
import type { Side } from '../smarter/conflicts.js';
import { listConflicts, type OpenConflict } from '../smarter/open-conflicts.js';
import { resolveConflict } from '../smarter/resolve-conflict.js';
import { io } from './io/io.js';
import { printJsonLine, printLine } from './io/output.js';
import { readConfig } from './read-config.js';
import { withTargetDatabase } from './target-database.js';

const PAGE = 1000;

const RESOLVE_HELP = `
A conflict about a field gets the value that the chosen side had when an import found the conflict. Of a secret's value
no copy is kept: Keyward's becomes the latest again, as the version of the source is disabled; the source's is taken by
the next import. A conflict about a row ("row") that is gone from the source: "source" deletes it, "keyward" makes it one
of Keyward's own, and switches it on again if the import switched it off.`;

/** conflictsCommand is `keyward import-smarter conflicts`. */
export function conflictsCommand(): Command {
  return new Command('conflicts')
    .description('List what was changed both in Keyward and in the source, and is not settled.')
    .option('--json', 'print one JSON object a line')
    .action(async (_options: object, command: Command) => {
      // The command above has an option of that name, which takes it.
      const { json } = command.optsWithGlobals<{ json?: true }>();
      await withTargetDatabase(
        async (target) => {
          let page: readonly OpenConflict[];
          let after = 0n;
          do {
            page = await listConflicts(target, after, PAGE);
            for (const conflict of page) {
              if (json === true) printJsonLine(asJson(conflict));
              else printLine(asText(conflict));
            }
            after = page.at(-1)?.id ?? after;
          } while (page.length === PAGE);
        },
        { mustExist: true },
      );
    });
}

/** resolveCommand is `keyward import-smarter resolve`. */
export function resolveCommand(): Command {
  return new Command('resolve')
    .description('Settle conflicts by the value of one side.')
    .argument('<id...>', 'numbers of conflicts, as "conflicts" prints them', numbers)
    .addOption(
      new Option('--keep <side>', 'whose value is to stay')
        .choices(['keyward', 'source'])
        .makeOptionMandatory(),
    )
    .addHelpText('after', RESOLVE_HELP)
    .action(async (ids: readonly string[], { keep }: { keep: Side }) => {
      const retention = BigInt(readConfig(io().env).secretRetentionDays) * MICROSECONDS_A_DAY;
      await withTargetDatabase(
        async (target, keys) => {
          const audit = new AuditLog({ chains: new ChainRepository(target), keys, clock: systemClock });
          for (const id of ids) {
            const how = await resolveConflict({ target, audit, clock: systemClock, retention, id, keep });
            printLine(how === 'done' ? `conflict ${id}: settled` : `conflict ${id}: settled ${how}`);
          }
        },
        { mustExist: true },
      );
    });
}

function numbers(text: string, before: readonly string[] = []): string[] {
  if (/^[1-9]\d{0,17}$/.test(text)) return [...before, text];
  throw new InvalidArgumentError('It must be the number of a conflict.');
}

function asText({ id, kind, key, field, kept, keywardValue, sourceValue }: OpenConflict): string {
  const what = field === 'row' ? 'gone from the source, changed in Keyward' : field;
  const values = keywardValue === '' ? '' : `: ${keywardValue} in Keyward, ${sourceValue} in the source`;
  return `${id}  ${kind.replace('_', ' ')} ${key}: ${what}${values} (kept: ${kept})`;
}

function asJson({ id, foundAt, ...conflict }: OpenConflict): object {
  return { id: String(id), ...conflict, foundAt: formatPgTimestamp(foundAt) };
}
