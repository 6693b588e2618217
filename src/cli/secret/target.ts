import type { Command } from 'commander';
import type { KeywardClient, Secret, SecretSelector, SecretVersion } from '../../client/index.js';
import { clientOptions } from '../client-options.js';
import { commandAbout, readTarget, type GivenTarget } from '../target.js';
import { NothingSent } from '../validation.js';
import { withClient } from '../with-client.js';

/** commandAboutSecret begins a command about one secret. */
export function commandAboutSecret(name: string): Command {
  return commandAbout('secret', name);
}

/** withSecret runs what a command does with the secret that it was told. */
export async function withSecret<T>(
  text: string,
  given: GivenTarget,
  use: (client: KeywardClient, selector: SecretSelector) => Promise<T>,
): Promise<T> {
  const selector = readTarget('secret', text, given);
  return withClient(clientOptions(given), (client) => use(client, selector));
}

/** theSecret is the secret of an answer, which every answer with one holds. */
export function theSecret({ secret }: { readonly secret?: Secret | undefined }): Secret {
  if (secret === undefined) throw new NothingSent('secret');
  return secret;
}

/** theVersion is the same for a version. */
export function theVersion({ version }: { readonly version?: SecretVersion | undefined }): SecretVersion {
  if (version === undefined) throw new NothingSent('version');
  return version;
}
