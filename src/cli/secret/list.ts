import { Command } from 'commander';
import type { Secret } from '../../client/index.js';
import { allPages } from '../all-pages.js';
import { clientOptions, withClientOptions, type GivenOptions } from '../client-options.js';
import { printFields, printJson, printTable, timeText } from '../io/output.js';
import { type GivenTarget } from '../target.js';
import { commandAboutSecret, theSecret, withSecret } from './target.js';
import { withClient } from '../with-client.js';

interface ListOptions extends GivenOptions {
  readonly filter?: string;
  readonly orderBy?: string;
  readonly deleted?: true;
}

export function listCommand(): Command {
  return withClientOptions(new Command('list'))
    .description('List the secrets that you may read, without their values.')
    .option('--filter <text>', 'comparisons joined by AND, for example \'tag = "db" AND name : "pass"\'')
    .option('--order-by <fields>', 'for example "expires_at desc, id"')
    .option('--deleted', 'list deleted secrets that can be brought back too')
    .option('--json', 'print the list as JSON')
    .action(async ({ filter = '', orderBy = '', deleted, ...given }: ListOptions) => {
      const showDeleted = deleted === true;
      const secrets = await withClient(clientOptions(given), (client) =>
        allPages(async (page) => {
          const request = { ...page, filter, orderBy, showDeleted };
          const { secrets: items, nextPageToken } = await client.secrets.listSecrets(request);
          return { items, nextPageToken };
        }),
      );
      if (given.json === true) printJson(secrets);
      else printSecrets(secrets, showDeleted);
    });
}

function printSecrets(secrets: readonly Secret[], areDeletedShown: boolean): void {
  const headings = ['SECRET', 'NAME', 'OWNER', 'VERSION', 'EXPIRES', 'LAST ACCESS'];
  printTable(
    areDeletedShown ? [...headings, 'GONE AT'] : headings,
    secrets.map((secret) => [
      secret.recordLocator,
      secret.name,
      ownerText(secret),
      String(secret.latestVersion),
      timeText(secret.expiresAt, 'never'),
      timeText(secret.lastAccessedAt, 'never'),
      timeText(secret.purgeAt),
    ]),
  );
}

export function getCommand(): Command {
  return commandAboutSecret('get')
    .description('Show what is known of a secret, without its values.')
    .option('--json', 'print it as JSON')
    .action(async (text: string, given: GivenTarget) => {
      const secret = await withSecret(text, given, async ({ secrets }, selector) =>
        theSecret(await secrets.getSecret({ secret: selector })),
      );
      if (given.json === true) printJson(secret);
      else printFields(fieldsOf(secret));
    });
}

function fieldsOf(secret: Secret): Record<string, string> {
  return {
    'record locator': secret.recordLocator,
    number: String(secret.id),
    name: secret.name,
    owner: ownerText(secret),
    description: secret.description,
    tags: secret.tags.join(', '),
    annotations: [...secret.annotations].map(([key, value]) => `${key}=${value}`).join(', '),
    'manifest path': secret.manifestPath,
    'manifest version': secret.version,
    'latest version': String(secret.latestVersion),
    expires: timeText(secret.expiresAt, 'never'),
    'last access': timeText(secret.lastAccessedAt, 'never'),
    created: timeText(secret.createdAt),
    updated: timeText(secret.updatedAt),
    deleted: timeText(secret.deletedAt),
    'gone at': timeText(secret.purgeAt),
    etag: secret.etag,
  };
}

function ownerText({ owner }: Secret): string {
  return owner === undefined ? '' : `${owner.username}@${owner.accountNumber}`;
}
