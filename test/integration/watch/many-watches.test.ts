import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { KeywardClient } from '../../../src/client/index.js';
import { byId } from '../../support/requests.js';
import { Watching } from '../../support/watching.js';
import { existing, World, type Issued } from '../../support/world.js';

const MANY = 90;
/** What besides may be asked meanwhile: leases are renewed, times of use written, health looked at. */
const NOISE = 12;

let world: World;
/** Of account A, which no watcher of these tests may read. */
let foreign: Issued;
/** Of the platform account, which everyone may read. */
let platform: Issued;

beforeAll(async () => {
  world = await World.create();
  foreign = await world.issue('owner-a');
  platform = await world.issue('staff-platform');
});

afterAll(() => world.close());

function describe(token: Issued): Promise<unknown> {
  return world.admin.tokens.updateToken({
    selector: byId(token),
    token: { description: world.newName() },
    updateMask: ['description'],
  });
}

/**
 * statementsOf counts the statements of three changes that the watchers may not know of and one that they may, up to
 * the moment when all know of that one and of nothing else.
 */
async function statementsOf(clients: readonly KeywardClient[]): Promise<number> {
  const watches = await Promise.all(clients.map((client) => Watching.begin(client.tokens.watchTokens({}))));
  const told = Promise.all(watches.map((watching) => watching.until(() => true)));
  const statement = vi.spyOn(pg.Client.prototype, 'query');
  try {
    for (let change = 0; change < 3; change += 1) await describe(foreign);
    await describe(platform);
    for (const events of await told) expect(events.map(({ tokenId }) => tokenId)).toEqual([platform.id]);
    return statement.mock.calls.length;
  } finally {
    statement.mockRestore();
    await Promise.all(watches.map((watching) => watching.close()));
  }
}

test('ninety watches of one user cost the database no more than one', async () => {
  const client = world.as('staff-b');
  const one = await statementsOf([client]);
  const many = await statementsOf(Array.from({ length: MANY }, () => client));
  expect(one).toBeGreaterThan(4);
  expect(many).toBeLessThanOrEqual(one + NOISE);
}, 60_000);

test('nor do those of thirty users', async () => {
  const tokens: string[] = [];
  for (let user = 0; user < 30; user += 1) {
    const username = world.newName();
    await world.admin.accounts.createUser({ username, isStaff: true });
    const owner = await world.join(username, '2222-2222-2222');
    const { plaintext } = await world.issue('admin', {
      owner: { selector: { $case: 'id', value: owner.id } },
    });
    tokens.push(plaintext);
  }
  const clients = tokens.map((token) => world.client(token));
  const one = await statementsOf([existing(clients[0])]);
  const many = await statementsOf([...clients, ...clients, ...clients]);
  expect(many).toBeLessThanOrEqual(one + NOISE);
}, 60_000);
