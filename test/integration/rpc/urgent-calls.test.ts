import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { byId } from '../../support/requests.js';
import { Peer } from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { World } from '../../support/world.js';
import { PUBLISH_LOCK } from '../../../src/db/advisory-locks.js';

const POOL = 5;
/** More changes than there are connections. */
const CHANGES = 12;

let world: World;
let admin: Peer;
let holder: pg.Client;

beforeAll(async () => {
  world = await World.create({
    KEYWARD_DATABASE_POOL_SIZE: String(POOL),
    // Longer than this test: what waits for what is held waits until it is released.
    KEYWARD_DATABASE_TIMEOUT_SECONDS: '60',
  });
  admin = new Peer(world.server.address, { token: world.adminToken });
  holder = new pg.Client({ connectionString: world.database.url });
  await holder.connect();
});

afterAll(async () => {
  await holder.end();
  admin.close();
  await world.close();
});

async function waitingSessions(): Promise<number> {
  const rows = await execute(
    world.database.url,
    "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
  );
  return rows.length;
}

test.each([
  ['a row that somebody has locked', 'BEGIN; SELECT FROM tokens FOR UPDATE', 'ROLLBACK'],
  [
    'the lock under which changes are published',
    `SELECT pg_advisory_lock(${PUBLISH_LOCK})`,
    'SELECT pg_advisory_unlock_all()',
  ],
])(
  'changes that wait for %s keep nobody from validating, nor from reading a secret',
  async (_, hold, release) => {
    const token = await world.issue('owner-a');
    const secret = await world.keep('owner-a');
    const others = await Promise.all(Array.from({ length: 10 }, () => world.issue('owner-a')));
    await holder.query(hold);
    let areOver = false;
    const changes = Promise.all(
      Array.from({ length: CHANGES }, (_each, index) =>
        admin.call('updateToken', {
          selector: byId(token),
          token: { description: `${index}` },
          updateMask: ['description'],
        }),
      ),
    ).finally(() => (areOver = true));
    try {
      await expect.poll(waitingSessions, { timeout: 15_000 }).toBeGreaterThanOrEqual(3);
      const outcomes = await Promise.all([
        ...others.map(({ plaintext }) => admin.call('validateToken', { token: plaintext })),
        ...others.map((_each, index) => admin.call('validateToken', { token: `unknown-${index}` })),
        ...others.map(() => admin.call('accessSecret', { secret: byId(secret) })),
      ]);
      expect(new Set(outcomes.map(({ code }) => code))).toEqual(new Set(['OK']));
      expect(areOver).toBe(false);
    } finally {
      await holder.query(release);
    }
    expect((await changes).map(({ code }) => code)).toEqual(Array.from({ length: CHANGES }, () => 'OK'));
  },
);

test('a change that waits for its revision keeps none waiting that needs no revision', async () => {
  const token = await world.issue('owner-a');
  const secret = await world.keep('owner-a');
  await holder.query('SELECT pg_advisory_lock(7033291505)');
  const selector = byId(token);
  const change = admin.call('updateToken', {
    selector,
    token: { description: 'x' },
    updateMask: ['description'],
  });
  try {
    await expect.poll(waitingSessions, { timeout: 15_000 }).toBe(1);
    const reference = { selector: byId(secret), kind: 'job', consumer: 'nightly' };
    expect(await admin.call('attachReference', reference)).toMatchObject({ code: 'OK' });
  } finally {
    await holder.query('SELECT pg_advisory_unlock_all()');
  }
  expect(await change).toMatchObject({ code: 'OK' });
});
