import { beforeEach, describe, expect, test } from 'vitest';
import { Lease } from '../../../src/coherence/lease.js';
import { OutagePolicy } from '../../../src/coherence/outage-policy.js';
import { KeywardError } from '../../../src/lib/errors.js';
import {
  CertificateCallers,
  CertificateUsers,
  type CertificateUser,
} from '../../../src/authn/certificate-callers.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ManualTimers } from '../../support/manual-timers.js';

const ACTIVE = { userId: 7n, isActive: true };
const SWITCHED_OFF = { userId: 7n, isActive: false };
const NOBODY = { userIds: [], accountIds: [], profileIds: [] };

let answers: ((user: CertificateUser | undefined | Promise<never>) => void)[];
let users: CertificateUsers;
let callers: CertificateCallers;
let clock: ManualClock;
let timers: ManualTimers;
let lease: Lease;

beforeEach(() => {
  answers = [];
  clock = new ManualClock();
  timers = new ManualTimers();
  users = new CertificateUsers({
    findUsers: async (usernames) => {
      const user = await new Promise<CertificateUser | undefined>((resolve) => answers.push(resolve));
      return new Map(user === undefined ? [] : usernames.map((username) => [username, user]));
    },
    ttlMs: 60_000,
    clock,
  });
  lease = new Lease(timers, 60_000);
  lease.extend(lease.moment());
  callers = new CertificateCallers(
    new OutagePolicy(users, lease, timers, 5_000),
    ['keyward.tokens.validate'],
    clock,
  );
});

/** find is the answer where the database gives this user. */
async function find(user: CertificateUser | undefined | Promise<never>): Promise<unknown> {
  const found = callers.find('svc');
  answers.pop()?.(user);
  return found;
}

function outOfReach(): Promise<never> {
  return Promise.reject(new KeywardError('DATABASE_UNAVAILABLE', 'The database is out of reach.'));
}

const SERVICE = {
  identity: {
    userId: 7n,
    username: 'svc',
    profileId: undefined,
    accountNumber: undefined,
    keyId: undefined,
    scopes: ['keyward.tokens.validate'],
  },
  stale: false,
};

test('an active user is a caller with the scopes of certificates, and is remembered', async () => {
  expect(await find(ACTIVE)).toEqual(SERVICE);
  expect(await callers.find('svc')).toEqual(SERVICE);
});

test.each([[SWITCHED_OFF], [undefined]])('%o is no caller', async (user) => {
  expect(await find(user)).toBeUndefined();
  expect(await callers.find('svc')).toBeUndefined();
});

test.each([
  ['all is forgotten', { everything: true, digests: [], owners: NOBODY, secretIds: [] }],
  [
    'any user changes',
    { everything: false, digests: [], owners: { ...NOBODY, userIds: [8n] }, secretIds: [] },
  ],
])('when %s the database is asked again', async (_what, eviction) => {
  await find(ACTIVE);
  users.forget(eviction);
  expect(await find(SWITCHED_OFF)).toBeUndefined();
});

test('what is no matter of users is not forgotten', async () => {
  await find(ACTIVE);
  users.forget({
    everything: false,
    digests: ['0'],
    owners: { ...NOBODY, accountIds: [8n], profileIds: [9n] },
    secretIds: [],
  });
  expect(await callers.find('svc')).toBeDefined();
});

test('a user is remembered for the time to live, and no longer', async () => {
  await find(ACTIVE);
  clock.advance(59_999);
  expect(await callers.find('svc')).toBeDefined();
  clock.advance(1);
  expect(await find(SWITCHED_OFF)).toBeUndefined();
});

test('a look-up that began before an eviction is not remembered', async () => {
  const before = callers.find('svc');
  users.clear();
  answers.pop()?.(ACTIVE);
  expect(await before).toBeDefined();
  expect(await find(SWITCHED_OFF)).toBeUndefined();
});

test('a look-up that failed is not remembered', async () => {
  await expect(find(outOfReach())).rejects.toThrow('out of reach');
  expect(await find(ACTIVE)).toMatchObject({ identity: { userId: 7n } });
});

describe('once the lease has run out', () => {
  beforeEach(async () => {
    await find(ACTIVE);
    timers.stall(3_000);
  });

  test('the database is asked, by a look-up of its own for every call', async () => {
    const asked = [callers.find('svc'), callers.find('svc')];
    expect(answers).toHaveLength(2);
    for (const answer of answers) answer(SWITCHED_OFF);
    expect(await Promise.all(asked)).toEqual([undefined, undefined]);
  });

  test('a user is a stale caller while the database cannot be asked, until the limit', async () => {
    expect(await find(outOfReach())).toEqual({ ...SERVICE, stale: true });
    timers.stall(60_000);
    await expect(find(outOfReach())).rejects.toThrow('out of reach');
  });

  test('nobody is a stale caller who was not known before, or was switched off', async () => {
    users.clear();
    await expect(find(outOfReach())).rejects.toThrow('out of reach');
    expect(await find(SWITCHED_OFF)).toBeUndefined();
    expect(await find(outOfReach())).toBeUndefined();
  });
});
