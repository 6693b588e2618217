import { Command, Option } from 'commander';
import {
  KeywardCallError,
  type KeywardClient,
  type Secret,
  type SecretSelector,
  type SecretVersion,
  type UserProfileSelector,
} from '../../client/index.js';
import type { ClientOptions } from '../../client/channel.js';
import { idFromRecordLocator, type ResourceKind } from '../../lib/public-id.js';
import { clientOptions, withClientOptions, type GivenOptions } from '../client-options.js';
import { withClient } from '../with-client.js';

/** GivenSecret is how a command is told which secret it is about, besides the argument. */
export interface GivenSecret extends GivenOptions {
  readonly owner?: string;
  readonly account?: string;
}

/** commandAboutSecret begins a command about one secret. */
export function commandAboutSecret(name: string): Command {
  return withClientOptions(new Command(name))
    .argument('<secret>', 'its record locator (secret-…), its number, or its name')
    .addOption(
      new Option(
        '--owner <user@account>',
        'with a name: whose secret it is; yours if neither this nor --account is given',
      ).conflicts('account'),
    )
    .option(
      '--account <number>',
      'with a name: the account in which you, or one of its staff, have one secret of that name',
    );
}

/** withSecret runs what a command does with the secret that it was told. */
export async function withSecret<T>(
  text: string,
  given: GivenSecret,
  use: (client: KeywardClient, selector: SecretSelector) => Promise<T>,
): Promise<T> {
  const options = clientOptions(given);
  return withClient(options, async (client) => use(client, await selectSecret(client, options, text, given)));
}

async function selectSecret(
  client: KeywardClient,
  options: ClientOptions,
  text: string,
  { owner, account }: GivenSecret,
): Promise<SecretSelector> {
  if (account !== undefined) return named(text, { $case: 'accountNumber', value: account });
  if (owner !== undefined) return named(text, { $case: 'userProfile', value: readProfile(owner) });
  const id = readNumber('secret', text);
  if (id !== undefined) return { selector: { $case: 'id', value: id } };
  return named(text, { $case: 'userProfile', value: await ownProfile(client, options) });
}

type Owner = Extract<SecretSelector['selector'], { readonly $case: 'ownedName' }>['value']['owner'];

function named(name: string, owner: NonNullable<Owner>): SecretSelector {
  return { selector: { $case: 'ownedName', value: { owner, name } } };
}

function readNumber(kind: ResourceKind, text: string): bigint | undefined {
  return /^\d{1,18}$/.test(text) ? BigInt(text) : idFromRecordLocator(kind, text);
}

/** readProfile reads `user@account`; a username may hold an @ itself. Locators and numbers are taken too. */
export function readProfile(text: string): UserProfileSelector {
  const id = readNumber('userprofile', text);
  if (id !== undefined) return { selector: { $case: 'id', value: id } };
  const [, username, accountNumber] = /^(.+)@([^@]+)$/s.exec(text) ?? [];
  if (username === undefined || accountNumber === undefined) {
    throw new Error(`a user profile is given as <user>@<account number>, not as "${text}"`);
  }
  return { selector: { $case: 'membership', value: { username, accountNumber } } };
}

/** ownProfile asks whose the caller's token is. */
async function ownProfile({ tokens }: KeywardClient, { token }: ClientOptions): Promise<UserProfileSelector> {
  const unknown =
    'a name alone does not tell whose secret it is; give --owner, --account or the record locator';
  if (token === undefined) throw new Error(unknown);
  try {
    const { principal } = await tokens.validateToken({ token });
    if (principal === undefined) throw new Error(unknown);
    return { selector: { $case: 'id', value: principal.userProfileId } };
  } catch (error) {
    if (error instanceof KeywardCallError && error.reason === 'SCOPE_MISSING') {
      throw new Error(unknown, { cause: error });
    }
    throw error;
  }
}

/** theSecret is the secret of an answer, which every answer with one holds. */
export function theSecret({ secret }: { readonly secret?: Secret | undefined }): Secret {
  if (secret === undefined) throw new Error('the service sent no secret');
  return secret;
}

/** theVersion is the same for a version. */
export function theVersion({ version }: { readonly version?: SecretVersion | undefined }): SecretVersion {
  if (version === undefined) throw new Error('the service sent no version');
  return version;
}
