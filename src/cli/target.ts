import { Command, Option } from 'commander';
import type { UserProfileSelector } from '../client/index.js';
import { idFromRecordLocator, type ResourceKind } from '../lib/public-id.js';
import { withClientOptions, type GivenOptions } from './client-options.js';

/** OwnedKind is what belongs to user profiles and has a name there. */
type OwnedKind = 'secret' | 'token';

/** GivenTarget is how a command is told what it is about, besides the argument. */
export interface GivenTarget extends GivenOptions {
  readonly owner?: string;
  readonly account?: string;
}

/** Target is what SecretSelector and TokenSelector have in common. A name without an owner is one of the caller's own. */
export interface Target {
  readonly selector:
    | { readonly $case: 'id'; readonly value: bigint }
    | { readonly $case: 'ownedName'; readonly value: OwnedName };
}

interface OwnedName {
  readonly name: string;
  readonly owner?:
    | { readonly $case: 'userProfile'; readonly value: UserProfileSelector }
    | { readonly $case: 'accountNumber'; readonly value: string };
}

/** commandAbout begins a command about one secret or token. */
export function commandAbout(
  kind: OwnedKind,
  name: string,
  ways = `its record locator (${kind}-…), its number, or its name`,
): Command {
  return withClientOptions(new Command(name))
    .argument(`<${kind}>`, ways)
    .addOption(
      new Option(
        '--owner <user@account>',
        `with a name: whose ${kind} it is; yours if neither this nor --account is given`,
      ).conflicts('account'),
    )
    .option(
      '--account <number>',
      `with a name: the account in which you, or one of its staff, have one ${kind} of that name`,
    );
}

/** readTarget reads the argument of such a command. */
export function readTarget(kind: OwnedKind, text: string, { owner, account }: GivenTarget): Target {
  if (account !== undefined) return named(text, { $case: 'accountNumber', value: account });
  if (owner !== undefined) return named(text, { $case: 'userProfile', value: readProfile(owner) });
  const id = readNumber(kind, text);
  return id === undefined ? named(text) : { selector: { $case: 'id', value: id } };
}

function named(name: string, owner?: OwnedName['owner']): Target {
  return { selector: { $case: 'ownedName', value: { name, ...(owner === undefined ? {} : { owner }) } } };
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
