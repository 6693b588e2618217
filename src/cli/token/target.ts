import type { Command } from 'commander';
import type { KeywardClient, Token, TokenSelector } from '../../client/index.js';
import { isUuid } from '../../lib/text.js';
import { clientOptions } from '../client-options.js';
import { commandAbout, readTarget, type GivenTarget } from '../target.js';
import { NothingSent } from '../validation.js';
import { withClient } from '../with-client.js';

/** GivenEtag is how a command is told to change only the state that the caller has seen. */
export interface GivenEtag {
  readonly etag?: string;
}

/** commandAboutToken begins a command about one token. */
export function commandAboutToken(name: string): Command {
  return commandAbout('token', name, 'its record locator (token-…), its number, its key id, or its name');
}

/** withEtag adds the option of commands that change a token. */
export function withEtag(command: Command): Command {
  return command.option('--etag <etag>', 'only if this still is its etag, as "get" shows it');
}

/** withToken runs what a command does with the token that it was told. */
export async function withToken<T>(
  text: string,
  given: GivenTarget,
  use: (client: KeywardClient, selector: TokenSelector) => Promise<T>,
): Promise<T> {
  const selector = selectorOf(text, given);
  return withClient(clientOptions(given), (client) => use(client, selector));
}

function selectorOf(text: string, given: GivenTarget): TokenSelector {
  const isKeyId = given.owner === undefined && given.account === undefined && isUuid(text);
  return isKeyId ? { selector: { $case: 'keyId', value: text } } : readTarget('token', text, given);
}

/** theToken is the token of an answer, which every answer with one holds. */
export function theToken({ token }: { readonly token?: Token | undefined }): Token {
  if (token === undefined) throw new NothingSent('token');
  return token;
}
