import { afterAll, beforeAll, expect, test } from 'vitest';
import { UserProfile } from '../../../src/gen/keyward/account/v1/account.js';
import { byId, defined, openAccountApi, type AccountApi } from '../../support/account-api.js';

let api: AccountApi;
beforeAll(async () => {
  api = await openAccountApi();
});
afterAll(() => api.close());

test('a profile joins a user and an account, and is found by all its names', async () => {
  const [user, account] = [await api.newUser(), await api.newAccount()];
  const given = {
    name: 'The Profile',
    description: 'd',
    version: '1.2.3',
    tags: ['t'],
    annotations: new Map([['k', 'v']]),
    manifestPath: 'p.yaml',
  };
  const { userProfile } = await api.call('createUserProfile', {
    user: { selector: { $case: 'username', value: user.username } },
    account: { selector: { $case: 'accountNumber', value: account.accountNumber } },
    ...given,
  });
  const profile = defined(userProfile);
  expect(profile).toMatchObject({
    ...given,
    rfc1034Name: 'theprofile',
    userId: user.id,
    username: user.username,
    accountId: account.id,
    accountNumber: account.accountNumber,
  });
  for (const selector of [
    { $case: 'id' as const, value: profile.id },
    { $case: 'hashedId' as const, value: profile.hashedId },
    { $case: 'recordLocator' as const, value: profile.recordLocator },
    {
      $case: 'membership' as const,
      value: { username: user.username, accountNumber: account.accountNumber },
    },
  ]) {
    expect(await api.call('getUserProfile', { userProfile: { selector } })).toEqual({ userProfile });
  }
});

test('a profile without a name has the username, whatever that is', async () => {
  const user = await api.newUser({ username: '_zoë@example.com' });
  expect(await api.newProfile(user, await api.newAccount())).toMatchObject({
    name: '_zoë@example.com',
    version: '1.0.0',
  });
});

test('a user has at most one profile in an account', async () => {
  const [user, account] = [await api.newUser(), await api.newAccount()];
  await api.newProfile(user, account);
  await expect(api.newProfile(user, account)).rejects.toMatchObject({ reason: 'ALREADY_EXISTS' });
  await api.newProfile(user, await api.newAccount());
});

test('a profile of a user or an account that is not there is NOT_FOUND', async () => {
  const [user, account] = [await api.newUser(), await api.newAccount()];
  const absent = byId({ id: 1n });
  await expect(api.call('createUserProfile', { user: absent, account: byId(account) })).rejects.toMatchObject(
    { reason: 'NOT_FOUND', message: 'There is no such user.' },
  );
  await expect(api.call('createUserProfile', { user: byId(user), account: absent })).rejects.toMatchObject({
    reason: 'NOT_FOUND',
    message: 'There is no such account.',
  });
  await expect(api.call('createUserProfile', { name: ' ' })).rejects.toMatchObject({
    violations: [{ field: 'name' }, { field: 'user' }, { field: 'account' }],
  });
});

test.each(['users', 'accounts'] as const)(
  'a profile is NOT_FOUND where one of its %s is deleted while it is made',
  async (table) => {
    const [user, account] = [await api.newUser(), await api.newAccount()];
    const deleting = await api.knex.transaction();
    await deleting(table)
      .where({ id: String(table === 'users' ? user.id : account.id) })
      .delete();
    const refused = expect(api.newProfile(user, account)).rejects.toMatchObject({ reason: 'NOT_FOUND' });
    await api.waiting(1);
    await deleting.commit();
    await refused;
  },
);

test.each([
  ['name', { name: 'new', rfc1034Name: 'new', snakeName: 'new' }],
  ['description', { description: 'new' }],
  ['version', { version: '9.0.0' }],
  ['tags', { tags: ['new'] }],
  ['annotations', { annotations: new Map([['new', '1']]) }],
  ['manifest_path', { manifestPath: 'new.yaml' }],
])(
  'an update of %s changes that, the etag and the time of change, and nothing else',
  async (path, expected) => {
    const before = await api.newProfile(await api.newUser(), await api.newAccount());
    const values = {
      name: 'new',
      description: 'new',
      version: '9.0.0',
      tags: ['new'],
      manifestPath: 'new.yaml',
    };
    const { userProfile: after } = await api.call('updateUserProfile', {
      selector: byId(before),
      userProfile: UserProfile.fromPartial({ ...values, annotations: new Map([['new', '1']]), userId: 1n }),
      updateMask: [path],
      etag: before.etag,
    });
    const { etag, updatedAt } = defined(after);
    expect(after).toEqual({ ...before, ...expected, etag, updatedAt });
    expect(etag).not.toBe(before.etag);
    const stale = { selector: byId(before), userProfile: after, updateMask: [path], etag: before.etag };
    await expect(api.call('updateUserProfile', stale)).rejects.toMatchObject({ reason: 'ETAG_MISMATCH' });
  },
);

test('of many updates at the same time with the same etag one is made', async () => {
  const userProfile = await api.newProfile(await api.newUser(), await api.newAccount());
  const update = { selector: byId(userProfile), userProfile, updateMask: ['tags'], etag: userProfile.etag };
  const call = () => api.call('updateUserProfile', update);
  const results = await api.race('user_profiles', userProfile, [call, call, call]);
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const result of results) {
    if (result.status === 'rejected') expect(result.reason).toMatchObject({ reason: 'ETAG_MISMATCH' });
  }
});

test('deleting is refused while the profile owns tokens, unless forced', async () => {
  const profile = await api.newProfile(await api.newUser(), await api.newAccount());
  await api.newToken(profile);
  const selector = byId(profile);
  await expect(api.call('deleteUserProfile', { selector })).rejects.toMatchObject({
    reason: 'RESOURCE_IN_USE',
    metadata: { tokens: '1', secrets: '0' },
  });
  const stale = { selector, etag: 'x', force: true };
  await expect(api.call('deleteUserProfile', stale)).rejects.toMatchObject({ reason: 'ETAG_MISMATCH' });
  await api.call('deleteUserProfile', { selector, force: true });
  expect(await api.knex('tokens').where({ user_profile_id: String(profile.id) })).toEqual([]);
  await expect(api.call('getUserProfile', { userProfile: selector })).rejects.toMatchObject({
    reason: 'NOT_FOUND',
  });
});

test('a token that is being made keeps its profile from being deleted without force', async () => {
  const profile = await api.newProfile(await api.newUser(), await api.newAccount());
  const making = await api.knex.transaction();
  await api.newToken(profile, making);
  const refused = expect(api.call('deleteUserProfile', { selector: byId(profile) })).rejects.toMatchObject({
    reason: 'RESOURCE_IN_USE',
  });
  await api.waiting(1);
  await making.commit();
  await refused;
});
