import type { Command } from 'commander';
import { report } from '../io/output.js';
import { ownerText } from '../owned-resource.js';
import { readProfile, type GivenTarget } from '../target.js';
import { withValidateOnly } from '../validation.js';
import { commandAboutSecret, theSecret, withSecret } from './target.js';

const HELP = `
Who has a grant keeps it: "keyward secret grants" shows them. Who owned it before has its value no more without one.`;

export function transferCommand(): Command {
  return withValidateOnly(commandAboutSecret('transfer'))
    .argument('<user@account>', 'whose it shall be')
    .description(
      'Give a secret to another owner. Your token needs the scopes keyward.secrets.write and keyward.secrets.access.',
    )
    .option('--json', 'print the secret as JSON')
    .addHelpText('after', HELP)
    .action(async (text: string, to: string, given: GivenTarget) => {
      const owner = readProfile(to);
      const secret = await withSecret(text, given, async ({ secrets }, selector) =>
        theSecret(await secrets.transferSecret({ selector, owner })),
      );
      report(given, secret, `Transferred: ${secret.recordLocator}, ${secret.name}, to ${ownerText(secret)}.`);
    });
}
