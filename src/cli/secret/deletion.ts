import type { Command } from 'commander';
import { report, timeText } from '../io/output.js';
import type { GivenTarget } from '../target.js';
import { withValidateOnly } from '../validation.js';
import { commandAboutSecret, theSecret, withSecret } from './target.js';

export function deleteCommand(): Command {
  return withValidateOnly(commandAboutSecret('delete'))
    .description('Delete a secret. Until it is gone for good, "undelete" brings it back.')
    .option('--force', 'delete it although consumers use it')
    .option('--json', 'print the deleted secret as JSON')
    .action(async (text: string, given: GivenTarget & { readonly force?: true }) => {
      const secret = await withSecret(text, given, async ({ secrets }, selector) =>
        theSecret(await secrets.deleteSecret({ selector, force: given.force === true })),
      );
      const { recordLocator, purgeAt } = secret;
      report(given, secret, `Deleted ${recordLocator}, which is gone for good at ${timeText(purgeAt)}.`);
    });
}

export function undeleteCommand(): Command {
  return withValidateOnly(commandAboutSecret('undelete'))
    .description(
      'Bring a deleted secret back, by its record locator or number: "list --deleted" shows them. Your token needs the scopes keyward.secrets.write and keyward.secrets.access.',
    )
    .option('--json', 'print the secret as JSON')
    .action(async (text: string, given: GivenTarget) => {
      const secret = await withSecret(text, given, async ({ secrets }, selector) =>
        theSecret(await secrets.undeleteSecret({ selector })),
      );
      report(given, secret, `${secret.recordLocator} is back.`);
    });
}
