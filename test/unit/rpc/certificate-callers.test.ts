import { beforeEach, expect, test } from 'vitest';
import { CertificateCallers, type CertificateUser } from '../../../src/rpc/certificate-callers.js';
import { ManualClock } from '../../support/manual-clock.js';

let answers: ((user: CertificateUser | undefined) => void)[];
let callers: CertificateCallers;
let clock: ManualClock;

beforeEach(() => {
  answers = [];
  clock = new ManualClock();
  callers = new CertificateCallers({
    findUser: () => new Promise((resolve) => answers.push(resolve)),
    scopes: ['keyward.tokens.validate'],
    ttlMs: 60_000,
    clock,
  });
});

const ACTIVE = { userId: 7n, isActive: true };
const SWITCHED_OFF = { userId: 7n, isActive: false };

async function find(user: CertificateUser | undefined): Promise<unknown> {
  const found = callers.find('svc');
  answers.pop()?.(user);
  return found;
}

test('an active user is a caller with the scopes of certificates, and is remembered', async () => {
  const caller = {
    userId: 7n,
    username: 'svc',
    profileId: undefined,
    accountNumber: undefined,
    keyId: undefined,
    scopes: ['keyward.tokens.validate'],
  };
  expect(await find(ACTIVE)).toEqual(caller);
  expect(await callers.find('svc')).toEqual(caller);
});

test.each([[SWITCHED_OFF], [undefined]])('%o is no caller', async (user) => {
  expect(await find(user)).toBeUndefined();
  expect(await callers.find('svc')).toBeUndefined();
});

test('after an eviction the database is asked again', async () => {
  await find(ACTIVE);
  callers.evict();
  expect(await find(SWITCHED_OFF)).toBeUndefined();
});

test('a user is remembered for the time to live, and no longer', async () => {
  await find(ACTIVE);
  clock.advance(60_000);
  expect(await callers.find('svc')).toBeDefined();
  clock.advance(1);
  expect(await find(SWITCHED_OFF)).toBeUndefined();
});

test('a look-up that began before an eviction is not remembered', async () => {
  const before = callers.find('svc');
  callers.evict();
  answers.pop()?.(ACTIVE);
  expect(await before).toBeDefined();
  expect(await find(SWITCHED_OFF)).toBeUndefined();
});

test('a look-up that failed is not remembered', async () => {
  const failing = new CertificateCallers({
    findUser: () =>
      answers.length === 0
        ? (answers.push(() => undefined), Promise.reject(new Error('gone')))
        : Promise.resolve(ACTIVE),
    scopes: [],
    ttlMs: 60_000,
    clock,
  });
  await expect(failing.find('svc')).rejects.toThrow('gone');
  expect(await failing.find('svc')).toMatchObject({ userId: 7n });
});
