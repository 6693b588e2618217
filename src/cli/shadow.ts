import type { Command } from 'commander';
import { systemClock } from '../lib/clock.js';
import { slicesOf } from '../lib/slices.js';
import { formatShadow } from '../smarter/shadow/shadow-report.js';
import { shadowKeys, shadowTexts } from '../smarter/shadow/shadow.js';
import { givenTexts } from './io/given-texts.js';
import { printJson, printText, showLine } from './io/output.js';
import {
  addPlatformOptions,
  answerLimitOf,
  onPlatform,
  platformUrl,
  type PlatformFlags,
} from './platform-database.js';
import { withTargetDatabase } from './target-database.js';

interface Options extends PlatformFlags {
  readonly from?: string;
  readonly back?: boolean;
  readonly json?: true;
}

const HELP = `
Both databases are read, and neither is written. The platform's verdict is made from its own tables, by its own rules
(django-rest-knox, and Smarter's part on top); Keyward's is made from the database of DATABASE_URL, or else the
embedded one of KEYWARD_DATA_DIR, by the rules that the service judges by. So this tells what the service answers as
far as it depends on the database; it does not call it.

Without an argument all keys are judged, by their digests. With "-" texts are, one a line of standard input, as
"keyward validate" reads them: the tokens of real requests, for example. No token and no digest is printed or kept.
A key is changed while this runs now and then: run it again before you look for a cause.

It ends with exit code 1 if any verdict differs. Keys on which the platform fails with an error are listed, and so are
counted those that were made in Keyward: neither is a difference, but with --back the latter are.

Example:
  keyward shadow --json`;

/** Texts that both databases are asked about at once. */
const BATCH = { maxItems: 1000, maxSize: 4 * 1024 * 1024 };

/** shadowCommand is `keyward shadow`. */
export function shadowCommand(command: Command): void {
  addPlatformOptions(command)
    .argument('[texts]', '"-" judges the texts of standard input instead of all keys')
    .option(
      '--from <URL>',
      "database of the Smarter platform (or KEYWARD_IMPORT_FROM; the user's password is never printed)",
    )
    .option('--back', 'before a way back: keys that only Keyward has are differences too')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', HELP)
    .action(async (texts: string | undefined, given: Options) => {
      const { from, back = false, json } = given;
      if (texts !== undefined && texts !== '-') throw new Error('give "-" to judge texts of standard input');
      if (texts === '-' && back) throw new Error('--back is for all keys, not for texts');
      const sourceUrl = platformUrl({ flag: '--from', given: from, variable: 'KEYWARD_IMPORT_FROM' });
      const report = await withTargetDatabase(
        (target) => {
          const options = {
            ...{ sourceUrl, target, clock: systemClock, onProgress: showProgress },
            ...answerLimitOf(given),
          };
          return onPlatform(sourceUrl, () =>
            texts === '-' ? shadowTexts(options, batchesOfTexts()) : shadowKeys(options, back),
          );
        },
        { mustExist: true },
      );
      if (json === true) printJson(report);
      else printText(formatShadow(report));
      if (report.different > 0) throw new Error(`${report.different} of ${report.judged} verdicts differ`);
    });
}

async function* batchesOfTexts(): AsyncGenerator<readonly string[]> {
  for await (const texts of givenTexts()) yield* slicesOf(texts, ({ length }) => length, BATCH);
}

function showProgress(judged: number): void {
  showLine(`judged: ${judged}`);
}
