import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  accessTo,
  managesAccounts,
  mayActAs,
  PLATFORM_ACCOUNT_NUMBER,
  promotes,
  readable,
  type Access,
  type CallerRights,
} from '../../../src/authz/rights.js';

interface Expected {
  users: { id: number; username: string; is_staff: boolean; is_superuser: boolean }[];
  user_profiles: { id: number; user_id: number; account_id: number; account_number: string }[];
  tokens: { key_id: string; user_profile_id: number }[];
  /** One is a key of the library beneath alone: it has no profile, and is not an API key. */
  quirk_tokens: { key_id: string; user_profile_id: number | null }[];
  permissions: { username: string; readable_key_ids: string[]; owned_key_ids: string[] }[];
}

const EXPECTED = JSON.parse(
  readFileSync(new URL('../../fixtures/smarter/expected.json', import.meta.url), 'utf8'),
) as Expected;

const OWN = { profileId: 1n, accountId: 10n, accountNumber: '0000-0000-0010' };
const SAME_ACCOUNT = { ...OWN, profileId: 2n };
const ELSEWHERE = { profileId: 3n, accountId: 30n, accountNumber: '0000-0000-0030' };
const PLATFORM = { profileId: 4n, accountId: 40n, accountNumber: PLATFORM_ACCOUNT_NUMBER };

const MEMBER: CallerRights = {
  userId: 1n,
  isStaff: false,
  isSuperuser: false,
  profiles: [{ id: 1n, accountId: 10n }],
};
const STAFF = { ...MEMBER, isStaff: true };
const SUPERUSER = { ...MEMBER, isSuperuser: true };
const PROFILELESS = { ...SUPERUSER, isStaff: true, profiles: [] };

test.each<[string, CallerRights, Access[]]>([
  [
    'a member manages the own and reads the account and the platform',
    MEMBER,
    ['manage', 'read', 'none', 'read'],
  ],
  ['staff manage their account and read the platform', STAFF, ['manage', 'manage', 'none', 'read']],
  ['a superuser manages everything', SUPERUSER, ['manage', 'manage', 'manage', 'manage']],
  ['without a profile even a superuser has nothing', PROFILELESS, ['none', 'none', 'none', 'none']],
])('%s', (_, callerRights, access) => {
  expect([OWN, SAME_ACCOUNT, ELSEWHERE, PLATFORM].map((owner) => accessTo(callerRights, owner))).toEqual(
    access,
  );
});

test('only superusers who have a profile manage accounts', () => {
  expect([MEMBER, STAFF, SUPERUSER, PROFILELESS].map(managesAccounts)).toEqual([false, false, true, false]);
});

const COLLEAGUE = { userId: 2n, isSuperuser: false, profiles: [{ id: 2n, accountId: 10n }] };
const BOTH_ACCOUNTS = [...COLLEAGUE.profiles, { id: 3n, accountId: 30n }];

test.each<[string, CallerRights, Omit<CallerRights, 'isStaff'>, boolean]>([
  ['staff may act as a colleague of the same account', STAFF, COLLEAGUE, true],
  ['staff may not act as a superuser', STAFF, { ...COLLEAGUE, isSuperuser: true }, false],
  [
    'staff may not act as one who also belongs elsewhere',
    STAFF,
    { ...COLLEAGUE, profiles: BOTH_ACCOUNTS },
    false,
  ],
  ['everybody may act as oneself', MEMBER, { ...MEMBER, profiles: BOTH_ACCOUNTS }, true],
  ['a member who is not staff may act as no colleague', MEMBER, COLLEAGUE, false],
  ['a superuser without a profile may act as nobody', PROFILELESS, COLLEAGUE, false],
  ['a superuser may act as anybody', SUPERUSER, { ...COLLEAGUE, profiles: BOTH_ACCOUNTS }, true],
])('%s', (_, callerRights, user, expected) => {
  expect(mayActAs(callerRights, user)).toBe(expected);
});

test('only who gets rights that they lacked is promoted', () => {
  const ranks = [MEMBER, STAFF, SUPERUSER, { ...SUPERUSER, isStaff: true }];
  expect(ranks.map((before) => ranks.map((after) => promotes(before, after)))).toEqual([
    [false, true, true, true],
    [false, false, true, true],
    [false, false, false, false],
    [false, false, false, false],
  ]);
});

describe("the rights of the original's users", () => {
  const owners = new Map(
    EXPECTED.user_profiles.map((profile) => [
      profile.id,
      {
        profileId: BigInt(profile.id),
        accountId: BigInt(profile.account_id),
        accountNumber: profile.account_number,
      },
    ]),
  );
  const keys = new Map(
    [...EXPECTED.tokens, ...EXPECTED.quirk_tokens].flatMap((key) => {
      const owner = owners.get(key.user_profile_id ?? 0);
      return owner === undefined ? [] : [[key.key_id, owner] as const];
    }),
  );

  test('cover keys that are read, managed, and neither', () => {
    expect(EXPECTED.permissions.length).toBeGreaterThan(10);
    expect(keys.size).toBe(EXPECTED.tokens.length + EXPECTED.quirk_tokens.length - 1);
  });

  test.each(EXPECTED.permissions)('are the same for $username', ({ username, ...permission }) => {
    const user = EXPECTED.users.find((each) => each.username === username);
    if (user === undefined) throw new Error('a permission of nobody');
    const callerRights: CallerRights = {
      userId: BigInt(user.id),
      isStaff: user.is_staff,
      isSuperuser: user.is_superuser,
      profiles: EXPECTED.user_profiles
        .filter((profile) => profile.user_id === user.id)
        .map((profile) => ({ id: BigInt(profile.id), accountId: BigInt(profile.account_id) })),
    };
    const idsWhere = (holds: (access: Access) => boolean) =>
      [...keys]
        .filter(([, owner]) => holds(accessTo(callerRights, owner)))
        .map(([id]) => id)
        .sort();

    expect(idsWhere((access) => access !== 'none')).toEqual([...permission.readable_key_ids].sort());
    expect(idsWhere((access) => access === 'manage')).toEqual([...permission.owned_key_ids].sort());

    const range = readable(callerRights);
    const listed = [...keys]
      .filter(([, { accountId, accountNumber }]) => {
        if (range === 'everything' || range === 'nothing') return range === 'everything';
        return range.accountIds.includes(accountId) || accountNumber === PLATFORM_ACCOUNT_NUMBER;
      })
      .map(([id]) => id);
    expect(listed.sort()).toEqual([...permission.readable_key_ids].sort());
  });
});
