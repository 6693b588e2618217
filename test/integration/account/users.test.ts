import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { User } from '../../../src/gen/keyward/account/v1/account.js';
import { byId, callerOf, defined, openAccountApi, type AccountApi } from '../../support/account-api.js';

let api: AccountApi;
beforeAll(async () => {
  api = await openAccountApi();
});
afterAll(() => api.close());

test('a user is returned as given, by id and by username in the exact case', async () => {
  const given = {
    username: 'zoë.müller',
    email: 'zoë@example.com',
    firstName: 'Zoë',
    lastName: 'Müller',
    isActive: false,
    isStaff: true,
    isSuperuser: true,
  };
  const user = await api.newUser(given);
  expect(user).toMatchObject(given);
  expect(await api.call('getUser', { user: byId(user) })).toEqual({ user });
  const named = (value: string) => ({ user: { selector: { $case: 'username' as const, value } } });
  expect(await api.call('getUser', named('zoë.müller'))).toEqual({ user });
  await expect(api.call('getUser', named('Zoë.müller'))).rejects.toMatchObject({ reason: 'NOT_FOUND' });
});

test('a user needs a username alone, and has no rank then', async () => {
  const { user } = await api.call('createUser', { username: 'plain' });
  expect(user).toMatchObject({ email: '', isActive: true, isStaff: false, isSuperuser: false });
});

test('a username is taken once', async () => {
  await api.newUser({ username: 'taken' });
  await expect(api.newUser({ username: 'taken' })).rejects.toMatchObject({
    reason: 'ALREADY_EXISTS',
    metadata: { field: 'username' },
  });
  expect(await api.newUser({ username: 'Taken' })).toMatchObject({ username: 'Taken' });
});

test('every broken field of a new user is named at once', async () => {
  const request = { username: 'a b', email: '?', firstName: 'x'.repeat(151), lastName: '\0' };
  await expect(api.call('createUser', request)).rejects.toMatchObject({
    violations: ['username', 'email', 'first_name', 'last_name'].map((field) => ({ field })),
  });
});

describe('an update', () => {
  test.each([
    ['email', { email: 'new@example.com' }],
    ['first_name', { firstName: 'New' }],
    ['last_name', { lastName: 'Newer' }],
    ['is_active', { isActive: false }],
    ['is_staff', { isStaff: true }],
    ['is_superuser', { isSuperuser: true }],
  ])('of %s changes that, the etag and the time of change, and nothing else', async (path, expected) => {
    const before = await api.newUser();
    const values = { email: 'new@example.com', firstName: 'New', lastName: 'Newer' };
    const { user: after } = await api.call('updateUser', {
      selector: byId(before),
      user: User.fromPartial({ ...values, isStaff: true, isSuperuser: true, username: 'other' }),
      updateMask: [path],
      etag: before.etag,
    });
    const { etag, updatedAt } = defined(after);
    expect(after).toEqual({ ...before, ...expected, etag, updatedAt });
    expect(etag).not.toBe(before.etag);
    const again = { selector: byId(before), updateMask: [path], etag: before.etag };
    await expect(api.call('updateUser', again)).rejects.toMatchObject({ reason: 'ETAG_MISMATCH' });
  });

  test('by many at the same time with the same etag is made once', async () => {
    const before = await api.newUser();
    const update = { selector: byId(before), updateMask: ['email'], etag: before.etag };
    const call = () => api.call('updateUser', update);
    const results = await api.race('users', before, [call, call, call]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ reason: 'ETAG_MISMATCH' });
    }
  });

  test('cannot change the username', async () => {
    const selector = byId(await api.newUser());
    await expect(api.call('updateUser', { selector, updateMask: ['username'] })).rejects.toMatchObject({
      violations: [{ field: 'update_mask' }],
    });
  });
});

test('deleting is refused while the user has profiles, unless forced, and then takes them and their tokens', async () => {
  const [user, other] = [await api.newUser(), await api.newUser()];
  const [account, second] = [await api.newAccount(), await api.newAccount()];
  const profiles = [await api.newProfile(user, account), await api.newProfile(user, second)];
  const kept = await api.newProfile(other, account);
  for (const profile of [...profiles, kept]) await api.newToken(profile);

  const selector = byId(user);
  await expect(api.call('deleteUser', { selector })).rejects.toMatchObject({
    reason: 'RESOURCE_IN_USE',
    metadata: { user_profiles: '2', tokens: '2', secrets: '0' },
  });
  const stale = { selector, etag: 'x', force: true };
  await expect(api.call('deleteUser', stale)).rejects.toMatchObject({ reason: 'ETAG_MISMATCH' });
  await api.call('deleteUser', { selector, force: true });
  expect(await api.knex('tokens').pluck('user_profile_id')).toEqual([kept.id]);
  await expect(api.call('deleteUser', { selector })).rejects.toMatchObject({ reason: 'NOT_FOUND' });
});

describe('the callerRights of a caller', () => {
  test('is read anew each time, in and outside of a transaction', async () => {
    const user = await api.newUser({ isStaff: true });
    const account = await api.newAccount();
    const profile = await api.newProfile(user, account);
    const caller = callerOf(user, profile.id);
    const expected = {
      userId: user.id,
      isStaff: true,
      isSuperuser: false,
      profiles: [{ id: profile.id, accountId: account.id }],
    };
    expect(await api.rightsReader.of(caller)).toEqual(expected);
    expect(await api.knex.transaction((trx) => api.rightsReader.of(caller, trx))).toEqual(expected);

    await api.call('deleteUserProfile', { selector: byId(profile) });
    expect(await api.rightsReader.of(caller)).toEqual({ ...expected, profiles: [] });

    await api.call('updateUser', { selector: byId(user), updateMask: ['is_active'] });
    const refused = { reason: 'CREDENTIALS_REFUSED' };
    await expect(api.rightsReader.of(caller)).rejects.toMatchObject(refused);
    await expect(api.knex.transaction((trx) => api.rightsReader.of(caller, trx))).rejects.toMatchObject(
      refused,
    );

    await api.call('deleteUser', { selector: byId(user) });
    await expect(api.rightsReader.of(caller)).rejects.toMatchObject(refused);
  });

  test('follows the username of a certificate, switched off or not', async () => {
    const user = await api.newUser({ username: 'of-a-certificate' });
    const find = () => api.rightsReader.findCertificateUsers(['of-a-certificate', 'nobody']);
    const found = (isActive: boolean) => new Map([['of-a-certificate', { userId: user.id, isActive }]]);
    expect(await find()).toEqual(found(true));
    await api.call('updateUser', { selector: byId(user), updateMask: ['is_active'] });
    expect(await find()).toEqual(found(false));
  });
});
