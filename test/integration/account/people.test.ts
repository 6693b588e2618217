import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type {
  KeywardClient,
  SecretGrant,
  UserProfile,
  UserProfileSelector,
} from '../../../src/client/index.js';
import { execute } from '../../support/sql.js';
import { byId } from '../../support/requests.js';
import { Peer } from '../../support/rpc.js';
import { ACCOUNT_B, existing, newValue, textOf, World, type Kept } from '../../support/world.js';

/** What managers of a secret of account A are told of `stranger`, who is staff of account B. */

let world: World;
let owner: KeywardClient;
let stranger: UserProfile;
let secret: Kept;

beforeAll(async () => {
  world = await World.create();
  owner = world.as('owner-a');
  stranger = world.profileOf('staff-b');
});

beforeEach(async () => {
  secret = await world.keep('owner-a');
});

afterAll(() => world.close());

const NUMBERS = ['id', 'hashedId', 'recordLocator'] as const;

function byNumber(form: (typeof NUMBERS)[number], profile = stranger): UserProfileSelector {
  if (form === 'id') return { selector: { $case: form, value: profile.id } };
  return { selector: { $case: form, value: profile[form] } };
}

function byMembership({ username, accountNumber }: UserProfile = stranger): UserProfileSelector {
  return { selector: { $case: 'membership', value: { username, accountNumber } } };
}

const ABSENT: readonly UserProfileSelector[] = [
  { selector: { $case: 'id', value: 9_000_000_001n } },
  { selector: { $case: 'hashedId', value: 'rubbish' } },
  { selector: { $case: 'membership', value: { username: 'no-such-user', accountNumber: ACCOUNT_B } } },
];

async function grant(userProfile: UserProfileSelector, client = owner): Promise<SecretGrant> {
  return existing((await client.secrets.grantAccess({ selector: byId(secret), userProfile })).grant);
}

async function listed(client = owner, filter = ''): Promise<SecretGrant[]> {
  return (await client.secrets.listGrants({ secret: byId(secret), filter })).grants;
}

const HIDDEN = { username: '', accountNumber: '' };
const names = () => ({ username: stranger.username, accountNumber: stranger.accountNumber });

describe('a grantee of another account', () => {
  test.each(NUMBERS)('who is named by %s is told by the number alone, and listed so', async (form) => {
    const number = { userProfileId: stranger.id, ...HIDDEN };
    expect(await grant(byNumber(form))).toMatchObject({ ...number, grantedBy: 'owner-a' });
    expect(await listed()).toMatchObject([number]);
  });

  test('who is named by membership is told as named, and listed so for all who manage the secret', async () => {
    expect(await grant(byMembership())).toMatchObject({ userProfileId: stranger.id, ...names() });
    expect(await listed()).toMatchObject([names()]);
    expect(await listed(world.as('staff-a'))).toMatchObject([names()]);
    // Named once, the name is known.
    expect(await grant(byNumber('id'))).toMatchObject(names());
  });

  test('is not found out by filters and orders either', async () => {
    await grant(byNumber('id'));
    await grant(byNumber('id', world.profileOf('plain-a')));
    expect(await listed(owner, `username = "${stranger.username}"`)).toEqual([]);
    expect(await listed(owner, `account_number = "${ACCOUNT_B}"`)).toEqual([]);
    expect(await listed(owner, 'username = "plain-a"')).toHaveLength(1);
    const { grants } = await owner.secrets.listGrants({ secret: byId(secret), orderBy: 'username' });
    expect(grants.map(({ username }) => username)).toEqual(['', 'plain-a']);
  });

  test('is told by name to those who may read that profile', async () => {
    await grant(byNumber('id'));
    expect(await listed(world.as('staff-a-and-b'))).toMatchObject([names()]);
    expect(await listed(world.admin)).toMatchObject([names()]);
    expect(await grant(byNumber('id', world.profileOf('plain-a')))).toMatchObject({ username: 'plain-a' });
    expect(await grant(byNumber('id', world.profileOf('admin')))).toMatchObject({ username: 'admin' });
  });
});

test('whoever granted it is told to those who may read that user, and not by a filter to others', async () => {
  const outsider = await world.issueTo({ isSuperuser: true });
  const from = { selector: { $case: 'id', value: outsider.profile.userId } } as const;
  // A superuser who belongs to account B alone.
  await world.join(outsider.profile.username, ACCOUNT_B);
  const token = await world.admin.tokens.createToken({
    owner: byMembership({ ...outsider.profile, accountNumber: ACCOUNT_B }),
    name: world.newName(),
  });
  await world.admin.accounts.deleteUserProfile({ selector: byId(outsider.profile), force: true });
  const foreign = world.client(token.plaintext);
  await grant(byMembership(), foreign);
  await foreign.secrets.addSecretVersion({ selector: byId(secret), payload: textOf(newValue()) });
  const { username } = existing((await world.admin.accounts.getUser({ user: from })).user);

  expect(await listed()).toMatchObject([{ grantedBy: '' }]);
  expect(await listed(owner, `granted_by = "${username}"`)).toEqual([]);
  expect(await listed(world.admin)).toMatchObject([{ grantedBy: username }]);
  const versions = async (client: KeywardClient, filter = '') =>
    (await client.secrets.listSecretVersions({ secret: byId(secret), filter })).versions.map(
      ({ createdBy }) => createdBy,
    );
  expect(await versions(owner)).toEqual(['admin', '']);
  expect(await versions(owner, `created_by = "${username}"`)).toEqual([]);
  expect(await versions(world.as('staff-a-and-b'))).toEqual(['admin', username]);
  // The grantee may read the versions, and not who of account A gave them.
  const { version } = await world
    .as('staff-a')
    .secrets.addSecretVersion({ selector: byId(secret), payload: textOf(newValue()) });
  expect(version?.createdBy).toBe('staff-a');
  expect(await versions(world.as('staff-b'))).toEqual(['admin', username, '']);
  const { version: disabled } = await owner.secrets.disableSecretVersion({
    selector: byId(secret),
    version: 2,
  });
  expect(disabled?.createdBy).toBe('');
});

describe('to take a grant back', () => {
  test('that there is not answers the same whether there is such a profile or not, down to the bytes', async () => {
    const peer = new Peer(world.server.address, { token: world.tokenOf('owner-a') });
    const present = [...NUMBERS.map((form) => byNumber(form)), byMembership()];
    const outcomes = [];
    for (const userProfile of [...present, ...ABSENT])
      outcomes.push(await peer.call('revokeAccess', { selector: byId(secret), userProfile }));
    peer.close();
    expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome))).size).toBe(1);
    expect(outcomes[0]).toMatchObject({
      code: 'NOT_FOUND',
      message: 'There is no such grant of this secret.',
    });
  });

  test('works by every form', async () => {
    for (const userProfile of [...NUMBERS.map((form) => byNumber(form)), byMembership()]) {
      await grant(byNumber('id'));
      await owner.secrets.revokeAccess({ selector: byId(secret), userProfile });
      expect(await listed()).toEqual([]);
    }
  });
});

test('a grantee that there is not is told in the same words in every form', async () => {
  const peer = new Peer(world.server.address, { token: world.tokenOf('owner-a') });
  const outcomes = [];
  for (const userProfile of ABSENT)
    outcomes.push(await peer.call('grantAccess', { selector: byId(secret), userProfile }));
  peer.close();
  expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome))).size).toBe(1);
  expect(outcomes[0]).toMatchObject({ code: 'NOT_FOUND', message: 'There is no such user profile.' });
});

test('who is made again with the same names, and an account with the same number, inherits nothing', async () => {
  const accountNumber = '7777-7777-7777';
  const name = world.newName();
  const { accounts } = world.admin;
  const settle = async () => {
    await accounts.createAccount({ accountNumber, name: world.newName() });
    await accounts.createUser({ username: name, isStaff: true });
    const profile = await world.join(name, accountNumber);
    const { plaintext } = await world.admin.tokens.createToken({
      owner: byId(profile),
      name: world.newName(),
    });
    return { profile, client: world.client(plaintext), plaintext };
  };
  const before = await settle();
  await grant(byId(before.profile));
  await grant(byNumber('id'), owner);
  const own = await before.client.secrets.createSecret({ name: 'own', payload: textOf(newValue()) });
  await before.client.secrets.grantAccess({
    selector: byId(existing(own.secret)),
    userProfile: byId(stranger),
  });
  const given = await world.admin.secrets.grantAccess({
    selector: byId(secret),
    userProfile: byId(before.profile),
  });
  expect(given.grant?.username).toBe(name);
  // The old user grants and gives a value where others stay.
  await accounts.updateUser({
    selector: { selector: { $case: 'username', value: name } },
    user: { isSuperuser: true },
    updateMask: ['is_superuser'],
    keepTokens: true,
  });
  await grant(byNumber('id'), before.client);
  await before.client.secrets.addSecretVersion({ selector: byId(secret), payload: textOf(newValue()) });
  const [revision] = await execute(world.database.url, 'SELECT max(revision) AS head FROM change_feed');
  await accounts.deleteAccount({
    selector: { selector: { $case: 'accountNumber', value: accountNumber } },
    force: true,
  });
  await accounts.deleteUser({ selector: { selector: { $case: 'username', value: name } }, force: true });
  expect(revision).toBeDefined();

  const after = await settle();
  await expect(after.client.secrets.getSecret({ secret: byId(secret) })).rejects.toMatchObject({
    reason: 'NOT_FOUND',
  });
  expect((await listed(world.admin)).map(({ userProfileId }) => userProfileId)).toEqual([stranger.id]);
  // Those who may read the new user are not told that it was this one who granted and gave.
  await world.join(name, world.profileOf('owner-a').accountNumber);
  expect(await listed()).toMatchObject([{ grantedBy: '' }]);
  const { versions } = await owner.secrets.listSecretVersions({ secret: byId(secret) });
  expect(versions.map(({ createdBy }) => createdBy)).toEqual(['admin', '']);
  // A watch from the beginning tells the new tenant nothing of the old one's secrets.
  const events = [];
  for await (const message of after.client.secrets.watchSecrets({
    start: { $case: 'revision', value: 0n },
  })) {
    events.push(...message.events);
    if (message.events.length === 0) break;
  }
  const told = events.map(({ secretId, accountId }) => [secretId, accountId]);
  expect(told.filter(([id]) => id === own.secret?.id || id === secret.id)).toEqual([]);
  expect(told.filter(([, id]) => id === before.profile.accountId)).toEqual([]);
});
