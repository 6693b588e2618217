import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import {
  ManifestOutcome,
  type AppliedDocument,
  type ApplyManifestResponse,
  type KeywardClient,
} from '../../client/index.js';
import { writePrivately } from '../../lib/private-file.js';
import { clientOptions } from '../client-options.js';
import { failureText } from '../io/failure.js';
import { io } from '../io/io.js';
import { printErrorLine, printJson, printLine } from '../io/output.js';
import { propagationJson, propagationText } from '../token/propagation.js';
import { withClient } from '../with-client.js';
import { inFile, readFiles, withFiles, type GivenFiles, type ManifestFile } from './files.js';

interface ApplyOptions extends GivenFiles {
  readonly dryRun?: true;
  readonly out?: string;
}

const STANDARD_OUTPUT = '-';

const HELP = `
The plaintext of an ApiKey that is made is shown this once. It is printed on a terminal; anywhere else it goes to a file of
the directory of --out, named after the key and made anew with mode 0600, or with "--out -" alone to standard output, and
what is told of it to standard error. Without any of these nothing is made.

Example:
  keyward apply -f keys/ --out ~/plaintexts`;

/** applyCommand is `keyward apply`. */
export function applyCommand(command: Command): void {
  withFiles(command)
    .option('--dry-run', 'check everything, and change nothing')
    .option('--out <DIR>', 'write the plaintexts of new ApiKeys to this directory; "-" is standard output')
    .option('--json', 'print what was done as JSON')
    .addHelpText('after', HELP)
    .action(async (given: ApplyOptions) => {
      await requireDirectory(given);
      const files = await readFiles(given);
      await withClient(clientOptions(given), async (client) => {
        for (const file of files) await inFile(files, file, () => applyFile(client, file, given));
      });
    });
}

async function applyFile(
  { manifests }: KeywardClient,
  file: ManifestFile,
  given: ApplyOptions,
): Promise<void> {
  const { manifest, secretValues } = file;
  const request = { manifest, secretValues };
  if (given.dryRun === true || !hasPlace(given)) {
    const planned = await manifests.applyManifest({ ...request, dryRun: true });
    if (given.dryRun === true) {
      tell(given, planned, ' (dry run)');
      return;
    }
    if (planned.documents.some(isNewKey)) throw noPlace();
  }
  const done = await manifests.applyManifest(request);
  tell(given, done, '');
  if (given.json === true && isPrinted(given)) return;
  // One that cannot be brought there keeps no other from it.
  const brought = await Promise.allSettled(done.documents.filter(isNewKey).map((key) => handOut(given, key)));
  for (const each of brought) if (each.status === 'rejected') throw each.reason;
}

function isNewKey({ kind, outcome }: AppliedDocument): boolean {
  return kind === 'ApiKey' && outcome === ManifestOutcome.MANIFEST_OUTCOME_CREATED;
}

/** hasPlace tells whether it is known where plaintexts go. */
function hasPlace({ out }: ApplyOptions): boolean {
  return out !== undefined || io().stdout.isTTY === true;
}

/** isPrinted tells whether plaintexts go to standard output, if there is where they may go. */
function isPrinted({ out }: ApplyOptions): boolean {
  return out === undefined || out === STANDARD_OUTPUT;
}

function noPlace(): Error {
  return new Error(
    'plaintexts are shown once, and standard output is no terminal: give --out <DIR>, or "--out -" to print them there',
  );
}

async function requireDirectory({ out }: ApplyOptions): Promise<void> {
  if (out === undefined || out === STANDARD_OUTPUT || (await stat(out)).isDirectory()) return;
  throw new Error(`${out} is no directory`);
}

function tell(given: ApplyOptions, { documents, propagation }: ApplyManifestResponse, note: string): void {
  const print = given.out === STANDARD_OUTPUT ? printErrorLine : printLine;
  if (given.json === true) {
    const shown = documents.map(({ plaintext, outcome, ...others }) => ({
      ...others,
      outcome: outcomeText(outcome),
      ...(plaintext !== '' && isPrinted(given) ? { plaintext } : {}),
    }));
    const told = propagationJson({ propagation });
    printJson({ documents: shown, ...(told === undefined ? {} : { propagation: told }) });
    return;
  }
  for (const { kind, name, outcome, deactivatedCount } of documents) {
    const off = deactivatedCount === 0n ? '' : `, ${deactivatedCount} tokens that others know switched off`;
    print(`${kind} ${name}: ${outcomeText(outcome)}${off}${note}`);
  }
  if (propagation !== undefined) print(propagationText({ propagation }));
}

function outcomeText(outcome: ManifestOutcome): string {
  return ManifestOutcome[outcome].replace('MANIFEST_OUTCOME_', '').toLowerCase();
}

/** handOut brings a plaintext to where it may go. */
async function handOut(
  { out }: ApplyOptions,
  { name, recordLocator, plaintext }: AppliedDocument,
): Promise<void> {
  if (out === undefined) {
    printLine(`The plaintext of ${name} (${recordLocator}), shown this once:`);
    printLine(plaintext);
    return;
  }
  if (out === STANDARD_OUTPUT) {
    printLine(plaintext);
    return;
  }
  const file = join(out, `${name}.${recordLocator}.token`);
  try {
    await writePrivately(file, () => Promise.resolve(`${plaintext}\n`));
  } catch (error) {
    const lost = `the plaintext of ${name} (${recordLocator}) could not be written and is lost ("keyward token rotate" gives it another)`;
    throw new Error(`${lost}: ${failureText(error)}`, { cause: error });
  }
  printErrorLine(`The plaintext of ${name} (${recordLocator}) is in ${file}.`);
}
