import type { Command } from 'commander';
import type { Token } from '../../client/index.js';
import { allPages, firstPage } from '../all-pages.js';
import { clientOptions } from '../client-options.js';
import { printFields, printJson, printTable, timeText, warn } from '../io/output.js';
import { listCommandWith, type GivenList } from '../list-options.js';
import { identityFields, ownerText } from '../owned-resource.js';
import type { GivenTarget } from '../target.js';
import { withClient } from '../with-client.js';
import { consumersText } from './refs.js';
import { commandAboutToken, theToken, withToken } from './target.js';

interface ListOptions extends GivenList {
  readonly pageAll?: true;
}

const LIST_HELP = `
Example:
  keyward token list --filter 'is_active = true AND tag = "ci"' --order-by "last_used_at desc"`;

export function listCommand(): Command {
  return listCommandWith('is_active = true AND tag = "ci"')
    .description('List the tokens that you may read.')
    .option('--page-all', 'list all, however many: without this it ends after the first 1000')
    .addHelpText('after', LIST_HELP)
    .action(async ({ filter = '', orderBy = '', pageAll, ...given }: ListOptions) => {
      const { items, nextPageToken } = await withClient(clientOptions(given), async ({ tokens }) => {
        const fetch = async (page: { readonly pageSize: number; readonly pageToken: string }) => {
          const listed = await tokens.listTokens({ ...page, filter, orderBy });
          return { items: listed.tokens, nextPageToken: listed.nextPageToken };
        };
        return pageAll === true ? { items: await allPages(fetch), nextPageToken: '' } : firstPage(fetch);
      });
      if (given.json === true) printJson(items);
      else printTokens(items);
      if (nextPageToken !== '') warn(`there are more than these ${items.length}: --page-all lists all`);
    });
}

function printTokens(tokens: readonly Token[]): void {
  printTable(
    ['TOKEN', 'NAME', 'OWNER', 'STATE', 'SCOPES', 'EXPIRES', 'LAST USE'],
    tokens.map((token) => [
      token.recordLocator,
      token.name,
      ownerText(token),
      stateOf(token),
      token.scopes.join(' '),
      timeText(token.expiresAt, 'never'),
      timeText(token.lastUsedAt, 'never'),
    ]),
  );
}

const GET_HELP = `
Example:
  keyward token get checkout --owner shop@1000-2000-3000`;

export function getCommand(): Command {
  return commandAboutToken('get')
    .description('Show what is known of a token.')
    .option('--json', 'print it as JSON')
    .addHelpText('after', GET_HELP)
    .action(async (text: string, given: GivenTarget) => {
      const answer = await withToken(text, given, ({ tokens }, selector) =>
        tokens.getToken({ token: selector }),
      );
      const token = theToken(answer);
      if (given.json === true) printJson(token);
      else printFields({ ...fieldsOf(token), 'held by': consumersText(answer) });
    });
}

function fieldsOf(token: Token): Record<string, string> {
  return {
    ...identityFields(token),
    'key id': token.keyId,
    state: stateOf(token),
    scopes: token.scopes.join(' '),
    'token key': token.tokenKey,
    identifier: token.identifier,
    expires: timeText(token.expiresAt, 'never'),
    'old plaintext until': timeText(token.graceEndsAt),
    'last use': timeText(token.lastUsedAt, 'never'),
    created: timeText(token.createdAt),
    updated: timeText(token.updatedAt),
    'issued by': token.issuedBy?.username ?? '',
    etag: token.etag,
  };
}

function stateOf({ isActive }: Token): string {
  return isActive ? 'active' : 'inactive';
}
