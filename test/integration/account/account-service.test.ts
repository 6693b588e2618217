import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { OwnerFacts } from '../../../src/token/verdict-cache.js';
import {
  Account,
  User,
  UserProfile,
  type Account as AccountMessage,
  type User as UserMessage,
  type UserProfile as UserProfileMessage,
} from '../../../src/gen/keyward/account/v1/account.js';
import { byId, callerOf, openAccountApi, type AccountApi, type Method } from '../../support/account-api.js';

let api: AccountApi;
let account: AccountMessage;
let user: UserMessage;
let profile: UserProfileMessage;

beforeAll(async () => {
  api = await openAccountApi();
});
afterAll(() => api.close());
beforeEach(async () => {
  account = await api.newAccount();
  user = await api.newUser();
  profile = await api.newProfile(user, account);
  await api.newToken(profile);
  api.evictions.length = 0;
});

function facts(of: UserProfileMessage): OwnerFacts {
  const { id: profileId, userId, username, accountId, accountNumber } = of;
  const rank = { isStaff: false, isSuperuser: false, userIsActive: true, accountIsActive: true };
  return { profileId, userId, username, accountId, accountNumber, ...rank };
}

/** evicted tells of which of these profiles the service had the verdicts forgotten. */
function evicted(...profiles: UserProfileMessage[]): boolean[] {
  return profiles.map((each) => api.evictions.some((matches) => matches !== 'users' && matches(facts(each))));
}

/** CHANGES are the calls that can turn verdicts, and whether they concern what certificates name. */
const CHANGES: [string, () => Promise<unknown>, { owners: boolean; users: boolean }][] = [
  ['an account switched off', () => updateAccount({ isActive: false }), { owners: true, users: false }],
  ['a user switched off', () => updateUser({ isActive: false }, 'is_active'), { owners: true, users: true }],
  ['a user made staff', () => updateUser({ isStaff: true }, 'is_staff'), { owners: true, users: true }],
  [
    'a user made superuser',
    () => updateUser({ isSuperuser: true }, 'is_superuser'),
    { owners: true, users: true },
  ],
  [
    'an account deleted',
    () => api.call('deleteAccount', { selector: byId(account), force: true }),
    { owners: true, users: false },
  ],
  [
    'a user deleted',
    () => api.call('deleteUser', { selector: byId(user), force: true }),
    { owners: true, users: true },
  ],
  [
    'a profile deleted',
    () => api.call('deleteUserProfile', { selector: byId(profile), force: true }),
    { owners: true, users: false },
  ],
  ['a user made', () => api.newUser(), { owners: false, users: true }],
];

function updateAccount(values: Partial<AccountMessage>) {
  const message = Account.fromPartial(values);
  return api.call('updateAccount', { selector: byId(account), account: message, updateMask: ['is_active'] });
}

function updateUser(values: Partial<UserMessage>, path: string) {
  return api.call('updateUser', {
    selector: byId(user),
    user: User.fromPartial(values),
    updateMask: [path],
  });
}

describe.each(CHANGES)('%s', (_, change, { owners, users }) => {
  test('has the verdicts that it turns forgotten before the call returns, and no others', async () => {
    const bystander = await api.newProfile(await api.newUser(), await api.newAccount());
    api.evictions.length = 0;
    await change();
    expect(evicted(profile, bystander)).toEqual([owners, false]);
    expect(api.evictions.includes('users')).toBe(users);
  });

  test('has nothing forgotten before it is committed, nor if the commit fails', async () => {
    // A deferred trigger lets everything pass until the commit.
    await api.knex.raw(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'refused at commit'; END $$;
      ${['accounts', 'users', 'user_profiles']
        .map(
          (table) => `CREATE CONSTRAINT TRIGGER refuse_${table} AFTER INSERT OR UPDATE OR DELETE ON ${table}
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();`,
        )
        .join('')}`);
    try {
      await expect(change()).rejects.toThrow('refused at commit');
      expect(api.evictions).toEqual([]);
    } finally {
      await api.knex.raw('DROP FUNCTION refuse CASCADE');
    }
    expect(await api.call('getUserProfile', { userProfile: byId(profile) })).toEqual({
      userProfile: profile,
    });
  });
});

describe('who does not manage accounts', () => {
  /** Requests for what does not exist: to be told NOT_FOUND would be to be told something. */
  const absent = byId({ id: 999_999n });
  const requests: { readonly [Name in Method]: Parameters<typeof api.call<Name>>[1] } = {
    createAccount: { name: 'x' },
    getAccount: { account: absent },
    listAccounts: {},
    updateAccount: { selector: absent, account: Account.fromPartial({ name: 'x' }), updateMask: ['name'] },
    deleteAccount: { selector: absent },
    createUser: { username: 'x' },
    getUser: { user: absent },
    listUsers: {},
    updateUser: { selector: absent, updateMask: ['email'] },
    deleteUser: { selector: absent },
    createUserProfile: { user: absent, account: absent },
    getUserProfile: { userProfile: absent },
    listUserProfiles: {},
    updateUserProfile: {
      selector: absent,
      userProfile: UserProfile.fromPartial({ name: 'x' }),
      updateMask: ['name'],
    },
    deleteUserProfile: { selector: absent },
  };

  test.each(Object.keys(requests) as Method[])('learns nothing from %s', async (method) => {
    const staff = await api.newUser({ isStaff: true });
    await api.newProfile(staff, account);
    const withoutProfile = await api.newUser({ isStaff: true, isSuperuser: true });
    const gone = callerOf({ id: 888_888n, username: 'gone' });
    const request = requests[method];
    for (const caller of [staff, withoutProfile, user].map((each) => callerOf(each))) {
      await expect(api.call(method, request, caller)).rejects.toMatchObject({ reason: 'NOT_PERMITTED' });
    }
    await expect(api.call(method, request, gone)).rejects.toMatchObject({ reason: 'CREDENTIALS_REFUSED' });
  });

  test('no method was forgotten', () => {
    expect(Object.keys(requests)).toHaveLength(15);
  });
});
