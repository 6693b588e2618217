import type { Command } from 'commander';
import { report } from '../io/output.js';
import { ownerText } from '../owned-resource.js';
import { readProfile, type GivenTarget } from '../target.js';
import { withValidateOnly } from '../validation.js';
import { commandAboutSecret, theSecret, withSecret } from './target.js';

interface CloneOptions extends GivenTarget {
  readonly to?: string;
  readonly newVersion?: string;
}

export function cloneCommand(): Command {
  return withValidateOnly(commandAboutSecret('clone'))
    .argument('<new-name>', 'what the copy is called')
    .description(
      'Make a secret with the value of another one. Your token needs the scopes keyward.secrets.write and keyward.secrets.access.',
    )
    .option('--to <user@account>', 'whose the copy shall be; the owner of the other one if not given')
    .option('--new-version <version>', 'the manifest version of the copy; that of the other one if not given')
    .option('--json', 'print the copy as JSON')
    .action(async (text: string, newName: string, given: CloneOptions) => {
      const { to, newVersion = '' } = given;
      const owner = to === undefined ? {} : { owner: readProfile(to) };
      const secret = await withSecret(text, given, async ({ secrets }, selector) =>
        theSecret(await secrets.cloneSecret({ selector, newName, newVersion, ...owner })),
      );
      report(given, secret, `Made ${secret.recordLocator}, ${secret.name} of ${ownerText(secret)}.`);
    });
}
