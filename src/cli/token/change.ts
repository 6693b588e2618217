import type { Command } from 'commander';
import type { KeywardClient, Propagation, Token, TokenConsumers, TokenSelector } from '../../client/index.js';
import { report } from '../io/output.js';
import { readProfile, type GivenTarget } from '../target.js';
import { propagationJson, propagationText } from './propagation.js';
import { heldText } from './refs.js';
import { withValidateOnly } from '../validation.js';
import { commandAboutToken, theToken, withEtag, withToken, type GivenEtag } from './target.js';

type ChangeOptions = GivenTarget & GivenEtag;

interface Changed {
  readonly token?: Token | undefined;
  readonly propagation?: Propagation | undefined;
  readonly consumers?: TokenConsumers | undefined;
}

export function activateCommand(): Command {
  return changeCommand('activate')
    .description('Switch a token on.')
    .addHelpText('after', exampleOf('activate checkout'))
    .action((text: string, given: ChangeOptions) =>
      change(text, given, 'Switched on', ({ tokens }, selected) => tokens.activateToken(selected)),
    );
}

export function deactivateCommand(): Command {
  return changeCommand('deactivate')
    .description('Switch a token off. It is refused until it is switched on again.')
    .addHelpText('after', exampleOf('deactivate checkout --owner shop@1000-2000-3000'))
    .action((text: string, given: ChangeOptions) =>
      change(text, given, 'Switched off', ({ tokens }, selected) => tokens.deactivateToken(selected)),
    );
}

export function renameCommand(): Command {
  return changeCommand('rename')
    .argument('<new-name>', 'what it is called from now on')
    .description('Give a token another name. Its plaintext stays.')
    .addHelpText('after', exampleOf('rename checkout shop-checkout'))
    .action((text: string, newName: string, given: ChangeOptions) =>
      change(text, given, 'Renamed', ({ tokens }, selected) => tokens.renameToken({ ...selected, newName })),
    );
}

export function transferCommand(): Command {
  return changeCommand('transfer')
    .argument('<user@account>', 'whose it shall be')
    .description('Give a token to another owner. Its plaintext stays, and stands for the new owner.')
    .addHelpText('after', exampleOf('transfer checkout ops@1000-2000-3000'))
    .action((text: string, to: string, given: ChangeOptions) => {
      const owner = readProfile(to);
      return change(text, given, 'Transferred', ({ tokens }, selected) =>
        tokens.transferToken({ ...selected, owner }),
      );
    });
}

export function revokeCommand(): Command {
  return withValidateOnly(withEtag(commandAboutToken('revoke')))
    .description('Delete a token, for good. "deactivate" is what can be undone.')
    .option('--json', 'print how far that has come as JSON')
    .addHelpText('after', exampleOf('revoke checkout'))
    .action(async (text: string, given: ChangeOptions) => {
      const { etag = '' } = given;
      const answer = await withToken(text, given, ({ tokens }, selector) =>
        tokens.revokeToken({ selector, etag }),
      );
      const { consumers } = answer;
      const result = { revoked: text, propagation: propagationJson(answer), consumers };
      report(given, result, `Revoked ${text}. ${propagationText(answer)}${heldText(answer)}`);
    });
}

function changeCommand(name: string): Command {
  return withValidateOnly(withEtag(commandAboutToken(name))).option(
    '--json',
    'print the changed token as JSON',
  );
}

function exampleOf(args: string): string {
  return `\nExample:\n  keyward token ${args}`;
}

async function change(
  text: string,
  given: ChangeOptions,
  done: string,
  call: (client: KeywardClient, selected: { selector: TokenSelector; etag: string }) => Promise<Changed>,
): Promise<void> {
  const { etag = '' } = given;
  const answer = await withToken(text, given, (client, selector) => call(client, { selector, etag }));
  const token = theToken(answer);
  const line = `${done}: ${token.recordLocator}, ${token.name}. ${propagationText(answer)}${heldText(answer)}`;
  report(given, { token, propagation: propagationJson(answer), consumers: answer.consumers }, line);
}
