import type { Command } from 'commander';
import {
  KeywardCallError,
  type KeywardClient,
  type Secret,
  type SecretPayload,
  type SecretSelector,
  type UserProfileSelector,
} from '../../client/index.js';
import { allPages } from '../all-pages.js';
import { EXPIRY_HELP, expiryField, readExpiry, type Expiry } from '../expiry.js';
import { readValue, withValue, type GivenValue } from '../io/given-value.js';
import { report } from '../io/output.js';
import { addTo } from '../repeatable.js';
import type { GivenTarget } from '../target.js';
import { withValidateOnly } from '../validation.js';
import { commandAboutSecret, theSecret, theVersion, withSecret } from './target.js';

interface SetOptions extends GivenTarget, GivenValue {
  readonly description?: string;
  readonly tag?: readonly string[];
  readonly expires?: Expiry;
}

const SET_HELP = `
A secret that there is gets the value as its newest version, and keeps what no option changes. A name that you (or
the --owner) have no secret of makes one. To put the expiry of one off, your token needs the scope
keyward.secrets.access besides keyward.secrets.write.`;

export function setCommand(): Command {
  return withValue(withValidateOnly(commandAboutSecret('set')))
    .description('Give a secret a value, and make the secret if there is none of that name.')
    .option('--description <text>', 'what it is for; not encrypted')
    .option('--tag <tag>', 'a label, in place of those it has; may be given more than once', addTo)
    .option('--expires <when>', `until when its values can be read: ${EXPIRY_HELP}`, readExpiry)
    .option('--json', 'print the result as JSON')
    .addHelpText('after', SET_HELP)
    .action(async (text: string, given: SetOptions) => {
      const payload = await readValue(given);
      const result = await withSecret(text, given, async (client, selector) => {
        const version = await giveValue(client, selector, payload, given);
        if (version !== undefined) return { created: false, version };
        const secret = await create(client, selector, payload, given);
        return { created: true, version: secret.latestVersion, recordLocator: secret.recordLocator };
      });
      const { created, version, recordLocator = '' } = result;
      report(given, result, created ? `Made ${recordLocator}, version 1.` : `Added version ${version}.`);
    });
}

/** giveValue gives a secret that there is a value, and tells its number; undefined if a name names none. */
async function giveValue(
  { secrets }: KeywardClient,
  selector: SecretSelector,
  payload: SecretPayload,
  given: SetOptions,
): Promise<number | undefined> {
  const { changes, updateMask } = changesOf(given);
  try {
    if (updateMask.length > 0) await secrets.updateSecret({ selector, secret: changes, updateMask });
    return theVersion(await secrets.addSecretVersion({ selector, payload })).number;
  } catch (error) {
    const isMissing = error instanceof KeywardCallError && error.codeName === 'NOT_FOUND';
    if (isMissing && newNameOf(selector) !== undefined) return undefined;
    throw error;
  }
}

function changesOf({ description, tag, expires }: SetOptions): {
  readonly changes: Partial<Pick<Secret, 'description' | 'tags' | 'expiresAt'>>;
  readonly updateMask: string[];
} {
  return {
    changes: {
      ...(description === undefined ? {} : { description }),
      ...(tag === undefined ? {} : { tags: [...tag] }),
      ...(expires?.at === undefined ? {} : { expiresAt: expires.at }),
    },
    updateMask: [
      ...(description === undefined ? [] : ['description']),
      ...(tag === undefined ? [] : ['tags']),
      ...(expires === undefined ? [] : ['expires_at']),
    ],
  };
}

async function create(
  { secrets }: KeywardClient,
  selector: SecretSelector,
  payload: SecretPayload,
  given: SetOptions,
): Promise<Secret> {
  const { expiresAt: _, ...settings } = changesOf(given).changes;
  const expiry = expiryField(given.expires);
  return theSecret(await secrets.createSecret({ ...newNameOf(selector), ...settings, ...expiry, payload }));
}

/** newNameOf is what a new secret would be called, and whose it would be; undefined if that is not said. */
function newNameOf({
  selector,
}: SecretSelector): { readonly owner?: UserProfileSelector; readonly name: string } | undefined {
  if (selector?.$case !== 'ownedName') return undefined;
  const { owner, name } = selector.value;
  if (owner === undefined) return { name };
  return owner.$case === 'userProfile' ? { owner: owner.value, name } : undefined;
}

interface RotateOptions extends GivenTarget, GivenValue {
  readonly disableOld?: true;
}

const ROTATE_HELP = `
Consumers get the new value from their next access on; older versions can still be asked for by number, unless
--disable-old is given. "keyward keys rotate" is something else: it changes the key that encrypts all values.`;

export function rotateCommand(): Command {
  return withValue(withValidateOnly(commandAboutSecret('rotate')))
    .description('Give a secret that there is a new value, and disable its older ones if wanted.')
    .option('--disable-old', 'keep all older versions from being read')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', ROTATE_HELP)
    .action(async (text: string, given: RotateOptions) => {
      const payload = await readValue(given);
      const { version, disabled } = await withSecret(text, given, async (client, selector) => {
        const added = theVersion(await client.secrets.addSecretVersion({ selector, payload })).number;
        const older = given.disableOld === true ? await disableOlder(client, selector, added) : [];
        return { version: added, disabled: older };
      });
      report(given, { version, disabled }, `Added version ${version}.${disabledText(disabled)}`);
    });
}

/** disableOlder disables the enabled versions before one, and tells which those were. */
async function disableOlder(
  { secrets }: KeywardClient,
  selector: SecretSelector,
  number: number,
): Promise<number[]> {
  const filter = `state = "ENABLED" AND number < ${number}`;
  const older = await allPages(async (page) => {
    const listed = await secrets.listSecretVersions({ ...page, secret: selector, filter });
    return { items: listed.versions, nextPageToken: listed.nextPageToken };
  });
  for (const { number: version } of older) await secrets.disableSecretVersion({ selector, version });
  return older.map((version) => version.number);
}

function disabledText(disabled: readonly number[]): string {
  return disabled.length === 0 ? '' : ` Disabled ${disabled.join(', ')}.`;
}
