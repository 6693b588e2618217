import type { Command } from 'commander';
import type { Secret } from '../../client/index.js';
import { allPages } from '../all-pages.js';
import { clientOptions } from '../client-options.js';
import { listCommandWith, type GivenList } from '../list-options.js';
import { printFields, printJson, printTable, timeText } from '../io/output.js';
import { identityFields, ownerText } from '../owned-resource.js';
import type { GivenTarget } from '../target.js';
import { commandAboutSecret, theSecret, withSecret } from './target.js';
import { withClient } from '../with-client.js';

interface ListOptions extends GivenList {
  readonly deleted?: true;
}

export function listCommand(): Command {
  return listCommandWith('tag = "db" AND name : "pass"')
    .description('List the secrets that you may read, without their values.')
    .option('--deleted', 'list deleted secrets that can be brought back too')
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
    ...identityFields(secret),
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
