import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ensureAdminProfile } from '../../../src/account/admin-profile.js';
import { PLATFORM_ACCOUNT_NUMBER } from '../../../src/authz/rights.js';
import { Account } from '../../../src/gen/keyward/account/v1/account.js';
import { instantFromMillis } from '../../../src/lib/instant.js';
import { byId, defined, openAccountApi, type AccountApi } from '../../support/account-api.js';

let api: AccountApi;
beforeAll(async () => {
  api = await openAccountApi();
});
afterAll(() => api.close());
beforeEach(() => {
  api.evictions.length = 0;
});

const PLATFORM = { selector: { $case: 'accountNumber' as const, value: PLATFORM_ACCOUNT_NUMBER } };

test('an account is returned as it was given, under all its names', async () => {
  const given = {
    accountNumber: '1111-2222-3333',
    name: 'Big_Customer One',
    companyName: 'Größe & Söhne',
    description: 'first line\nsecond',
    version: '2.0.0-rc.1',
    tags: ['b', 'a', 'ü'],
    annotations: new Map([
      ['constructor', '1'],
      ['__proto__', 'x'],
    ]),
    manifestPath: 'accounts/big.yaml',
    isActive: false,
  };
  const account = await api.newAccount(given);
  expect(account).toMatchObject({ ...given, rfc1034Name: 'big-customerone', isPlatform: false });
  expect(account.id).toBeGreaterThan(100_000_000n);
  expect(account.createdAt).toEqual(account.updatedAt);
  expect(defined(account.createdAt).seconds).toBeGreaterThan(1_700_000_000n);
  for (const selector of [
    { $case: 'id' as const, value: account.id },
    { $case: 'hashedId' as const, value: account.hashedId },
    { $case: 'recordLocator' as const, value: account.recordLocator },
    { $case: 'accountNumber' as const, value: account.accountNumber },
  ]) {
    expect(await api.call('getAccount', { account: { selector } })).toEqual({ account });
  }
});

test('an account needs a name alone', async () => {
  const account = await api.newAccount();
  expect(account.accountNumber).toMatch(/^\d{4}-\d{4}-\d{4}$/);
  expect(account).toMatchObject({ version: '1.0.0', isActive: true, tags: [], companyName: '' });
});

test('a number made at random that is taken is made again, a given one is refused', async () => {
  await api.newAccount({ accountNumber: '2222-0000-0001' });
  api.numbers.push('2222-0000-0001', '2222-0000-0001', '2222-0000-0002');
  expect(await api.newAccount()).toMatchObject({ accountNumber: '2222-0000-0002' });
  await expect(api.newAccount({ accountNumber: '2222-0000-0001' })).rejects.toMatchObject({
    reason: 'ALREADY_EXISTS',
    metadata: { field: 'account_number' },
  });
});

test('of many that ask for one number at the same time one gets it', async () => {
  const results = await Promise.allSettled(
    Array.from({ length: 8 }, () => api.newAccount({ accountNumber: '2222-0000-0003' })),
  );
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const result of results) {
    if (result.status === 'rejected') expect(result.reason).toMatchObject({ reason: 'ALREADY_EXISTS' });
  }
});

test('every broken field of a new account is named at once', async () => {
  const request = { accountNumber: '1', companyName: 'x'.repeat(256), tags: [''] };
  await expect(api.call('createAccount', request)).rejects.toMatchObject({
    reason: 'INVALID_FIELDS',
    violations: ['account_number', 'name', 'company_name', 'tags[0]'].map((field) => ({ field })),
  });
});

test.each([
  { $case: 'id' as const, value: 1n },
  { $case: 'hashedId' as const, value: 'no such thing' },
  { $case: 'recordLocator' as const, value: 'userprofile-rMTAwMDAwMQx' },
  { $case: 'accountNumber' as const, value: '9999-9999-9998' },
])('an account that is not there is NOT_FOUND by $$case, whatever is asked', async (selector) => {
  const absent = { reason: 'NOT_FOUND', message: 'There is no such account.' };
  const updateMask = ['name'];
  const account = Account.fromPartial({ name: 'x' });
  await expect(api.call('getAccount', { account: { selector } })).rejects.toMatchObject(absent);
  await expect(
    api.call('updateAccount', { selector: { selector }, account, updateMask }),
  ).rejects.toMatchObject(absent);
  await expect(api.call('deleteAccount', { selector: { selector }, force: true })).rejects.toMatchObject(
    absent,
  );
});

test('a request that names no account is INVALID_FIELDS', async () => {
  const invalid = { reason: 'INVALID_FIELDS' };
  await expect(api.call('getAccount', {})).rejects.toMatchObject(invalid);
  await expect(api.call('updateAccount', { updateMask: ['name'] })).rejects.toMatchObject(invalid);
  await expect(api.call('deleteAccount', {})).rejects.toMatchObject(invalid);
  await expect(api.call('getAccount', { account: byId({ id: 0n }) })).rejects.toMatchObject({
    violations: [{ field: 'account.id' }],
  });
});

describe('an update', () => {
  const NEW = {
    name: 'new-name',
    companyName: 'New',
    description: 'new',
    version: '3.0.0',
    tags: ['new'],
    annotations: new Map([['new', '1']]),
    manifestPath: 'new.yaml',
    isActive: false,
  };

  test.each([
    ['name', { name: NEW.name, rfc1034Name: 'new-name', snakeName: 'new_name' }],
    ['company_name', { companyName: NEW.companyName }],
    ['description', { description: NEW.description }],
    ['version', { version: NEW.version }],
    ['tags', { tags: NEW.tags }],
    ['annotations', { annotations: NEW.annotations }],
    ['manifest_path', { manifestPath: NEW.manifestPath }],
    ['is_active', { isActive: NEW.isActive }],
  ])('of %s changes that, the etag and the time of change, and nothing else', async (path, expected) => {
    const before = await api.newAccount({ tags: ['old'], annotations: new Map([['old', '0']]) });
    const { account: after } = await api.call('updateAccount', {
      selector: byId(before),
      account: Account.fromPartial({ ...NEW, accountNumber: '0000-0000-0000', id: 7n }),
      updateMask: [path],
      etag: before.etag,
    });
    const { etag, updatedAt } = defined(after);
    expect(after).toEqual({ ...before, ...expected, etag, updatedAt });
    expect(etag).not.toBe(before.etag);
    expect(updatedAt).not.toEqual(before.updatedAt);
    expect(await api.call('getAccount', { account: byId(before) })).toEqual({ account: after });
  });

  test('with a stale etag changes nothing', async () => {
    const first = await api.newAccount();
    const update = (name: string, etag: string) =>
      api.call('updateAccount', {
        selector: byId(first),
        account: Account.fromPartial({ name }),
        updateMask: ['name'],
        etag,
      });
    const { account: second } = await update('second', first.etag);
    api.evictions.length = 0;
    await expect(update('third', first.etag)).rejects.toMatchObject({ reason: 'ETAG_MISMATCH' });
    expect(await api.call('getAccount', { account: byId(first) })).toEqual({ account: second });
    expect(api.evictions).toEqual([]);
  });

  test('by many at the same time with the same etag is made once', async () => {
    const before = await api.newAccount();
    const update = (name: string) => () =>
      api.call('updateAccount', {
        selector: byId(before),
        account: Account.fromPartial({ name }),
        updateMask: ['name'],
        etag: before.etag,
      });
    const results = await api.race('accounts', before, ['a', 'b', 'c'].map(update));
    const made = results.filter((result) => result.status === 'fulfilled');
    expect(made).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ reason: 'ETAG_MISMATCH' });
    }
    expect(await api.call('getAccount', { account: byId(before) })).toEqual({
      account: made[0]?.value.account,
    });
  });

  test('of different fields at the same time loses neither', async () => {
    const before = await api.newAccount();
    const update = (change: Partial<Account>, path: string) =>
      api.call('updateAccount', {
        selector: byId(before),
        account: Account.fromPartial(change),
        updateMask: [path],
      });
    await api.race('accounts', before, [
      () => update({ name: 'both' }, 'name'),
      () => update({ companyName: 'Both' }, 'company_name'),
    ]);
    const { account } = await api.call('getAccount', { account: byId(before) });
    expect(account).toMatchObject({ name: 'both', companyName: 'Both' });
  });

  test.each([[[]], [['account_number']], [['created_at']], [['name', 'constructor']]])(
    'of the fields %j is refused',
    async (updateMask) => {
      const selector = byId(await api.newAccount());
      const account = Account.fromPartial({ name: 'x' });
      await expect(api.call('updateAccount', { selector, account, updateMask })).rejects.toMatchObject({
        violations: [{ field: 'update_mask' }],
      });
    },
  );

  test('with a value that breaks a rule names the field', async () => {
    const selector = byId(await api.newAccount());
    const request = { selector, account: Account.fromPartial({}), updateMask: ['name', 'version'] };
    await expect(api.call('updateAccount', request)).rejects.toMatchObject({
      violations: [{ field: 'account.name' }, { field: 'account.version' }],
    });
  });
});

describe('deleting', () => {
  test('makes the account NOT_FOUND', async () => {
    const account = await api.newAccount();
    await api.call('deleteAccount', { selector: byId(account), etag: account.etag });
    await expect(api.call('getAccount', { account: byId(account) })).rejects.toMatchObject({
      reason: 'NOT_FOUND',
    });
  });

  test('is refused while profiles belong to the account, unless forced, and then takes all of them', async () => {
    const [account, other] = [await api.newAccount(), await api.newAccount()];
    const [user, colleague] = [await api.newUser(), await api.newUser()];
    const [first, second] = [await api.newProfile(user, account), await api.newProfile(colleague, account)];
    const kept = await api.newProfile(user, other);
    for (const profile of [first, first, second, kept]) await api.newToken(profile);
    api.evictions.length = 0;

    const selector = byId(account);
    await expect(api.call('deleteAccount', { selector })).rejects.toMatchObject({
      reason: 'RESOURCE_IN_USE',
      metadata: { user_profiles: '2', tokens: '3', secrets: '0' },
    });
    await expect(api.call('deleteAccount', { selector, force: true, etag: 'x' })).rejects.toMatchObject({
      reason: 'ETAG_MISMATCH',
    });
    expect(api.evictions).toEqual([]);

    await api.call('deleteAccount', { selector, force: true });
    const owners = await api.knex('tokens').pluck('user_profile_id');
    expect(owners).toEqual([kept.id]);
    expect(await api.knex('token_digests').pluck('token_id')).toHaveLength(1);
    await expect(api.call('getUserProfile', { userProfile: byId(first) })).rejects.toMatchObject({
      reason: 'NOT_FOUND',
    });
    expect(await api.call('getUser', { user: byId(user) })).toEqual({ user });
    expect(api.evictions).toHaveLength(1);
  });
});

describe('the platform account', () => {
  test('is made by a bootstrap, once, and said to be the platform', async () => {
    const now = instantFromMillis(Date.now());
    const ensured = await Promise.all(
      Array.from({ length: 4 }, () => api.knex.transaction((trx) => ensureAdminProfile(trx, now))),
    );
    expect(new Set(ensured.map(({ profileId }) => profileId))).toEqual(new Set([api.admin.profileId]));
    const { account } = await api.call('getAccount', { account: PLATFORM });
    expect(account).toMatchObject({
      name: 'smarter',
      companyName: 'Smarter',
      isPlatform: true,
      isActive: true,
    });
    const { user } = await api.call('getUser', { user: byId({ id: api.admin.userId }) });
    expect(user).toMatchObject({ username: 'admin', isActive: true, isStaff: true, isSuperuser: true });
  });

  test('is neither deleted nor switched off, but may be changed otherwise', async () => {
    const protectedAccount = { reason: 'PLATFORM_ACCOUNT' };
    const selector = PLATFORM;
    await expect(api.call('deleteAccount', { selector })).rejects.toMatchObject(protectedAccount);
    await expect(api.call('deleteAccount', { selector, force: true })).rejects.toMatchObject(
      protectedAccount,
    );
    const account = Account.fromPartial({ isActive: false, description: 'ours' });
    await expect(
      api.call('updateAccount', { selector, account, updateMask: ['description', 'is_active'] }),
    ).rejects.toMatchObject(protectedAccount);
    const updated = await api.call('updateAccount', { selector, account, updateMask: ['description'] });
    expect(updated.account).toMatchObject({ isActive: true, description: 'ours' });
  });
});
