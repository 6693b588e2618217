import { Option, type Command } from 'commander';
import { ManifestFormat, type GetManifestRequest } from '../../client/index.js';
import { idFromRecordLocator } from '../../lib/public-id.js';
import { isUuid } from '../../lib/text.js';
import { clientOptions, withClientOptions } from '../client-options.js';
import { printText } from '../io/output.js';
import { readProfile, readTarget, type GivenTarget } from '../target.js';
import { withClient } from '../with-client.js';

interface GetOptions extends GivenTarget {
  readonly output: 'yaml' | 'json';
}

type Resource = NonNullable<GetManifestRequest['resource']>;

const KINDS: Readonly<Record<string, (name: string, given: GivenTarget) => Resource>> = {
  apikey: (name, given) => ({
    $case: 'token',
    value:
      isUuid(name) && given.owner === undefined && given.account === undefined
        ? { selector: { $case: 'keyId', value: name } }
        : readTarget('token', name, given),
  }),
  secret: (name, given) => ({ $case: 'secret', value: readTarget('secret', name, given) }),
  account: (name) => {
    const id = idFromRecordLocator('account', name);
    const selector =
      id === undefined
        ? ({ $case: 'accountNumber', value: name } as const)
        : ({ $case: 'id', value: id } as const);
    return { $case: 'account', value: { selector } };
  },
  user: (name) => ({ $case: 'user', value: { selector: { $case: 'username', value: name } } }),
  userprofile: (name) => ({ $case: 'userProfile', value: readProfile(name) }),
};

const HELP = `
What there is, and how it is named:
  ApiKey       a token: its record locator, number, key id, or name
  Secret       its record locator, number, or name
  Account      its number, or its record locator
  User         the username
  UserProfile  <user>@<account number>, or its record locator

Example:
  keyward get apikey checkout -o yaml > checkout.yaml`;

/** getCommand is `keyward get`. */
export function getCommand(command: Command): void {
  withClientOptions(command)
    .argument('<kind>', 'ApiKey, Secret, Account, User or UserProfile, in any case')
    .argument('<name>', 'which one')
    .addOption(
      new Option('--owner <user@account>', 'whose token or secret it is; yours if not given').conflicts(
        'account',
      ),
    )
    .option('--account <number>', 'the account in which there is one token or secret of that name')
    .addOption(
      new Option('-o, --output <format>', 'how to write it').choices(['yaml', 'json']).default('yaml'),
    )
    .option('--json', 'the same as "-o json"')
    .addHelpText('after', HELP)
    .action(async (kind: string, name: string, given: GetOptions) => {
      const resource = resourceOf(kind, name, given);
      const format =
        given.output === 'json' || given.json === true
          ? ManifestFormat.MANIFEST_FORMAT_JSON
          : ManifestFormat.MANIFEST_FORMAT_YAML;
      const { manifest } = await withClient(clientOptions(given), ({ manifests }) =>
        manifests.getManifest({ resource, format }),
      );
      printText(manifest);
    });
}

function resourceOf(kind: string, name: string, given: GivenTarget): Resource {
  const key = kind.toLowerCase();
  const read = Object.hasOwn(KINDS, key) ? KINDS[key] : undefined;
  if (read === undefined) throw new Error('the kind must be ApiKey, Secret, Account, User or UserProfile');
  return read(name, given);
}
