import { CommanderError, type Command } from 'commander';
import { ManifestOutcome, type AppliedDocument } from '../../client/index.js';
import { clientOptions } from '../client-options.js';
import { failureLine } from '../io/failure.js';
import { printErrorText, printJson, printLine } from '../io/output.js';
import { withClient } from '../with-client.js';
import { inFile, readFiles, withFiles, type GivenFiles } from './files.js';

const DIFFERS = 1;
const FAILED = 2;

const HELP = `
It ends with exit code 0 if nothing differs, 1 if something does, and 2 if that cannot be told.

Example:
  keyward diff -f keys/`;

/** diffCommand is `keyward diff`. */
export function diffCommand(command: Command): void {
  withFiles(command)
    .option('--json', 'print what differs as JSON')
    .addHelpText('after', HELP)
    .action(async (given: GivenFiles) => {
      const differing = await differences(given).catch((error: unknown) => {
        printErrorText(`${failureLine(error)}\n`);
        throw new CommanderError(FAILED, 'keyward.failed', '');
      });
      if (given.json === true) printJson(differing);
      else for (const document of differing) print(document);
      if (differing.length > 0) throw new CommanderError(DIFFERS, 'keyward.differs', '');
    });
}

async function differences(given: GivenFiles): Promise<AppliedDocument[]> {
  const files = await readFiles(given);
  return withClient(clientOptions(given), async ({ manifests }) => {
    const differing: AppliedDocument[] = [];
    for (const file of files) {
      const { manifest, secretValues } = file;
      const { documents } = await inFile(files, file, () =>
        manifests.applyManifest({ manifest, secretValues, dryRun: true }),
      );
      differing.push(
        ...documents.filter(({ outcome }) => outcome !== ManifestOutcome.MANIFEST_OUTCOME_UNCHANGED),
      );
    }
    return differing;
  });
}

function print({ kind, name, outcome, changes }: AppliedDocument): void {
  const isNew = outcome === ManifestOutcome.MANIFEST_OUTCOME_CREATED;
  printLine(`${isNew ? '+' : '~'} ${kind} ${name}`);
  for (const { field, before, after } of changes) {
    // The value of a secret is not shown.
    printLine(after === '' ? `    ${field}: another value` : `    ${field}: ${before} -> ${after}`);
  }
}
