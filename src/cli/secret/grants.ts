import { Option, type Command } from 'commander';
import type { KeywardClient, SecretGrant, SecretSelector } from '../../client/index.js';
import { allPages } from '../all-pages.js';
import { EXPIRY_HELP, expiryField, readExpiry, type Expiry } from '../expiry.js';
import { printJson, printTable, report, timeText } from '../io/output.js';
import { readProfile, type GivenTarget } from '../target.js';
import { withValidateOnly } from '../validation.js';
import { commandAboutSecret, withSecret } from './target.js';

interface GrantsOptions extends GivenTarget {
  readonly grant?: string;
  readonly revoke?: string;
  readonly expires?: Expiry;
}

const HELP = `
A grant lets a user, of any account, read the secret and its values, and no more. A second one replaces when the
first expires. After "revoke" has returned, nobody gets a value by that grant. To grant, your token needs the scopes
keyward.secrets.write and keyward.secrets.access; to take back, the first of them. Users are named as <user@account>,
or by the number or record locator of their profile; of users whom you may not know the list has the number.`;

export function grantsCommand(): Command {
  return withValidateOnly(commandAboutSecret('grants'))
    .description('List to whom a secret is granted, or grant it, or take a grant back.')
    .addOption(new Option('--grant <user@account>', 'let this user read the values').conflicts('revoke'))
    .addOption(
      new Option('--expires <when>', `with --grant: ${EXPIRY_HELP}`)
        .argParser(readExpiry)
        .conflicts('revoke'),
    )
    .option('--revoke <user@account>', 'take the grant back')
    .option('--json', 'print the list, or what was granted or revoked, as JSON')
    .addHelpText('after', HELP)
    .action(async (text: string, given: GrantsOptions) => {
      const { grant, revoke } = given;
      if (given.expires !== undefined && grant === undefined) throw new Error('--expires goes with --grant');
      const print = await withSecret(text, given, async (client, selector) => {
        if (grant !== undefined) {
          const granted = await grantTo(client, selector, grant, given.expires);
          return () => report(given, { granted }, `Granted to ${grant}.`);
        }
        if (revoke !== undefined) {
          await client.secrets.revokeAccess({ selector, userProfile: readProfile(revoke) });
          return () => report(given, { revoked: revoke }, `Revoked from ${revoke}.`);
        }
        const grants = await list(client, selector);
        return () => (given.json === true ? printJson(grants) : printGrants(grants));
      });
      print();
    });
}

async function grantTo(
  { secrets }: KeywardClient,
  selector: SecretSelector,
  profile: string,
  expires: Expiry | undefined,
): Promise<SecretGrant | undefined> {
  const request = { selector, userProfile: readProfile(profile), ...expiryField(expires) };
  return (await secrets.grantAccess(request)).grant;
}

function list({ secrets }: KeywardClient, secret: SecretSelector): Promise<SecretGrant[]> {
  return allPages(async (page) => {
    const { grants: items, nextPageToken } = await secrets.listGrants({ ...page, secret });
    return { items, nextPageToken };
  });
}

function printGrants(grants: readonly SecretGrant[]): void {
  printTable(
    ['USER', 'EXPIRES', 'GRANTED BY', 'SINCE'],
    grants.map(({ userProfileId, username, accountNumber, expiresAt, grantedBy, createdAt }) => [
      // Of those whom the caller may not know there is the number, which --revoke takes too.
      username === '' ? String(userProfileId) : `${username}@${accountNumber}`,
      timeText(expiresAt, 'never'),
      grantedBy,
      timeText(createdAt),
    ]),
  );
}
