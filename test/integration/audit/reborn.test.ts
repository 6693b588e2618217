import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AuditEvent, KeywardClient } from '../../../src/client/index.js';
import { execute } from '../../support/sql.js';
import { existing, World, type Issued } from '../../support/world.js';

const NUMBER = '9999-8888-7777';

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

interface Tenant {
  readonly accountId: bigint;
  readonly userId: bigint;
  readonly token: Issued;
  readonly client: KeywardClient;
}

/** newTenant makes an account with the number, and a user who is staff of it, and lets them do something. */
async function newTenant(username: string): Promise<Tenant> {
  const { account } = await world.admin.accounts.createAccount({ accountNumber: NUMBER, name: username });
  await world.admin.accounts.createUser({ username, isStaff: true });
  const profile = await world.join(username, NUMBER);
  const owner = { selector: { $case: 'id', value: profile.id } } as const;
  const token = await world.issue('admin', { owner });
  const client = world.client(token.plaintext);
  await client.tokens.createToken({ owner, name: world.newName() });
  return { accountId: existing(account).id, userId: profile.userId, token, client };
}

async function remove(username: string): Promise<void> {
  const account = { selector: { $case: 'accountNumber', value: NUMBER } } as const;
  await world.admin.accounts.deleteAccount({ selector: account, force: true });
  const user = { selector: { $case: 'username', value: username } } as const;
  await world.admin.accounts.deleteUser({ selector: user, force: true });
}

async function eventsOf(client: KeywardClient, filter = ''): Promise<AuditEvent[]> {
  return (await client.audit.listAuditEvents({ pageSize: 1000, filter })).events;
}

let username: string;
beforeEach(() => {
  username = world.newName();
});

test('whoever gets the number and the name of a deleted account sees nothing of the one before', async () => {
  const first = await newTenant(username);
  expect((await eventsOf(first.client)).length).toBeGreaterThan(3);
  await remove(username);
  const second = await newTenant(username);

  const seen = await eventsOf(second.client);
  expect(seen.length).toBeGreaterThan(3);
  expect([...new Set(seen.map(({ resource }) => resource?.accountId))]).toEqual([second.accountId]);
  expect(seen.filter(({ actor }) => actor?.userId === first.userId)).toEqual([]);

  const all = await eventsOf(world.admin, `account_number = "${NUMBER}"`);
  expect([...new Set(all.map(({ resource }) => resource?.accountId))]).toEqual([
    first.accountId,
    second.accountId,
  ]);
  const ofFirst = await eventsOf(world.admin, `account_id = ${first.accountId}`);
  expect(ofFirst).toEqual(all.filter(({ resource }) => resource?.accountId === first.accountId));
  await remove(username);
});

test('an account and a user who get other numbers, as in an import, keep their records', async () => {
  const { accountId, userId, client } = await newTenant(username);
  const before = await eventsOf(client);
  await execute(world.database.url, 'UPDATE accounts SET id = 11 WHERE id = $1', [String(accountId)]);
  await execute(world.database.url, 'UPDATE users SET id = 12 WHERE id = $1', [String(userId)]);
  const token = await world.issue('admin', {
    owner: { selector: { $case: 'membership', value: { username, accountNumber: NUMBER } } },
  });
  const after = await eventsOf(world.client(token.plaintext));
  expect(after.slice(0, before.length)).toEqual(before);
  // As who is no longer staff they see what they did themselves.
  await execute(world.database.url, 'UPDATE users SET is_staff = false WHERE id = 12');
  const own = await eventsOf(world.client(token.plaintext));
  expect(own).toEqual(before.filter(({ actor }) => actor?.userId === userId));
  expect(own.length).toBeGreaterThan(0);
  await remove(username);
});
