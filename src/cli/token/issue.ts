import { Command, InvalidArgumentError } from 'commander';
import type { Token } from '../../client/index.js';
import { clientOptions, withClientOptions, type GivenOptions } from '../client-options.js';
import { EXPIRY_HELP, SPAN_HELP, expiryField, readExpiry, readSpan, type Expiry } from '../expiry.js';
import { timeText } from '../io/output.js';
import { ownerText } from '../owned-resource.js';
import { addTo } from '../repeatable.js';
import { readProfile, type GivenTarget } from '../target.js';
import { withValidateOnly } from '../validation.js';
import { withClient } from '../with-client.js';
import { handOut, withOut, type GivenOut } from './plaintext.js';
import { propagationText } from './propagation.js';
import { heldText } from './refs.js';
import { commandAboutToken, withEtag, withToken, type GivenEtag } from './target.js';

type Annotations = Map<string, string>;

interface CreateOptions extends GivenOptions, Omit<GivenOut, 'json'> {
  readonly owner?: string;
  readonly description?: string;
  readonly tag?: readonly string[];
  readonly annotation?: Annotations;
  readonly scope?: readonly string[];
  readonly expires?: Expiry;
  readonly prefix?: string;
  readonly inactive?: true;
}

const CREATE_HELP = `
Example:
  keyward token create checkout --scope orders:read --expires 90d --out checkout.token`;

export function createCommand(): Command {
  return withOut(withValidateOnly(withClientOptions(new Command('create'))))
    .argument('<name>', 'what it is called; its owner has no other token of that name')
    .description('Make a token.')
    .option('--owner <user@account>', 'whose it shall be; yours if not given')
    .option('--scope <scope>', 'what it may do, "*" if not given; may be given more than once', addTo)
    .option('--expires <when>', `until when it passes: ${EXPIRY_HELP}; never if not given`, readExpiry)
    .option('--description <text>', 'what it is for')
    .option('--tag <tag>', 'a label; may be given more than once', addTo)
    .option('--annotation <key=value>', 'a note; may be given more than once', addAnnotation)
    .option('--prefix <prefix>', 'what its plaintext begins with')
    .option('--inactive', 'make it switched off, until "activate"')
    .addHelpText('after', CREATE_HELP)
    .action(async (name: string, given: CreateOptions) => {
      const request = { name, ...settingsOf(given) };
      await handOut(
        given,
        () => withClient(clientOptions(given), ({ tokens }) => tokens.createToken(request)),
        (token) => `Made ${nameOf(token)}.`,
      );
    });
}

function addAnnotation(text: string, annotations: Annotations = new Map()): Annotations {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError('It must be <key>=<value>.');
  if (annotations.has(key)) throw new InvalidArgumentError('Its key has a value already.');
  return new Map([...annotations, [key, value]]);
}

function settingsOf({
  owner,
  description,
  tag,
  annotation,
  scope,
  expires,
  prefix,
  inactive,
}: CreateOptions) {
  return {
    ...(owner === undefined ? {} : { owner: readProfile(owner) }),
    ...(description === undefined ? {} : { description }),
    ...(tag === undefined ? {} : { tags: tag }),
    ...(annotation === undefined ? {} : { annotations: annotation }),
    ...(scope === undefined ? {} : { scopes: scope }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(inactive === undefined ? {} : { isActive: false }),
    ...expiryField(expires),
  };
}

interface RotateOptions extends GivenTarget, GivenEtag, Omit<GivenOut, 'json'> {
  readonly grace?: ReturnType<typeof readSpan>;
}

const ROTATE_HELP = `
Example:
  keyward token rotate checkout --grace 12h --out checkout.token`;

export function rotateCommand(): Command {
  return withOut(withValidateOnly(withEtag(commandAboutToken('rotate'))))
    .description('Give a token another plaintext. The old one is refused at once, or after the grace period.')
    .option('--grace <span>', `how long the old plaintext still passes: ${SPAN_HELP}`, readSpan)
    .addHelpText('after', ROTATE_HELP)
    .action(async (text: string, given: RotateOptions) => {
      const { etag = '', grace } = given;
      const gracePeriod = grace === undefined ? {} : { gracePeriod: grace };
      await handOut(
        given,
        () =>
          withToken(text, given, ({ tokens }, selector) =>
            tokens.rotateToken({ selector, etag, ...gracePeriod }),
          ),
        (token, issued) =>
          `Rotated ${nameOf(token)}.${graceText(token)} ${propagationText(issued)}${heldText(issued)}`,
      );
    });
}

function graceText({ graceEndsAt }: Token): string {
  return graceEndsAt === undefined ? '' : ` The old plaintext passes until ${timeText(graceEndsAt)}.`;
}

interface CloneOptions extends GivenTarget, Omit<GivenOut, 'json'> {
  readonly to?: string;
  readonly newVersion?: string;
}

const CLONE_HELP = `
Example:
  keyward token clone checkout checkout-2 --out checkout-2.token`;

export function cloneCommand(): Command {
  return withOut(withValidateOnly(commandAboutToken('clone')))
    .argument('<new-name>', 'what the copy is called')
    .description('Make a token like another one, with a plaintext of its own.')
    .option('--to <user@account>', 'whose the copy shall be; the owner of the other one if not given')
    .option('--new-version <version>', 'the version of the copy; that of the other one if not given')
    .addHelpText('after', CLONE_HELP)
    .action(async (text: string, newName: string, given: CloneOptions) => {
      const { to, newVersion } = given;
      const copy = {
        newName,
        newVersion: newVersion ?? '',
        ...(to === undefined ? {} : { owner: readProfile(to) }),
      };
      await handOut(
        given,
        () => withToken(text, given, ({ tokens }, selector) => tokens.cloneToken({ selector, ...copy })),
        (token) => `Made ${nameOf(token)}.`,
      );
    });
}

function nameOf(token: Token): string {
  return `${token.recordLocator}, ${token.name} of ${ownerText(token)}`;
}
