import { Option, type Command } from 'commander';
import {
  SecretFormat,
  SecretVersionState,
  type KeywardClient,
  type SecretSelector,
  type SecretVersion,
} from '../../client/index.js';
import { allPages } from '../all-pages.js';
import { printJson, printTable, timeText } from '../io/output.js';
import type { GivenTarget } from '../target.js';
import { withValidateOnly } from '../validation.js';
import { commandAboutSecret, theVersion, withSecret } from './target.js';
import { readVersionNumber } from '../version-number.js';

interface VersionsOptions extends GivenTarget {
  readonly disable?: number;
  readonly enable?: number;
  readonly destroy?: number;
}

export function versionsCommand(): Command {
  const change = (name: string, what: string, others: string[]): Option =>
    new Option(`--${name} <version>`, what).argParser(readVersionNumber).conflicts(others);
  return withValidateOnly(commandAboutSecret('versions'))
    .description("List a secret's versions, without their values, or change the state of one.")
    .addOption(change('disable', 'keep a version from being read', ['enable', 'destroy']))
    .addOption(
      change('enable', 'let a disabled version be read again (needs the scope keyward.secrets.access too)', [
        'disable',
        'destroy',
      ]),
    )
    .addOption(change('destroy', "erase a version's value for good", ['disable', 'enable']))
    .option('--json', 'print the list, or the changed version, as JSON')
    .action(async (text: string, given: VersionsOptions) => {
      const result = await withSecret(
        text,
        given,
        async (client, selector) =>
          (await changeState(client, selector, given)) ?? (await list(client, selector)),
      );
      if (given.json === true) printJson(Array.isArray(result) ? result.map(jsonOf) : jsonOf(result));
      else printVersions(Array.isArray(result) ? result : [result]);
    });
}

async function changeState(
  { secrets }: KeywardClient,
  selector: SecretSelector,
  { disable, enable, destroy }: VersionsOptions,
): Promise<SecretVersion | undefined> {
  if (disable !== undefined) {
    return theVersion(await secrets.disableSecretVersion({ selector, version: disable }));
  }
  if (enable !== undefined) {
    return theVersion(await secrets.enableSecretVersion({ selector, version: enable }));
  }
  if (destroy !== undefined) {
    return theVersion(await secrets.destroySecretVersion({ selector, version: destroy }));
  }
  return undefined;
}

function list({ secrets }: KeywardClient, secret: SecretSelector): Promise<SecretVersion[]> {
  return allPages(async (page) => {
    const { versions: items, nextPageToken } = await secrets.listSecretVersions({ ...page, secret });
    return { items, nextPageToken };
  });
}

function printVersions(versions: readonly SecretVersion[]): void {
  printTable(
    ['VERSION', 'STATE', 'FORMAT', 'CREATED', 'BY', 'KEY'],
    versions.map((version) => [
      String(version.number),
      stateOf(version),
      formatOf(version),
      timeText(version.createdAt),
      version.createdBy,
      version.keyId,
    ]),
  );
}

function jsonOf(version: SecretVersion): object {
  return { ...version, state: stateOf(version), format: formatOf(version) };
}

function stateOf({ state }: SecretVersion): string {
  return SecretVersionState[state].replace('SECRET_VERSION_STATE_', '');
}

function formatOf({ format }: SecretVersion): string {
  return SecretFormat[format].replace('SECRET_FORMAT_', '');
}
