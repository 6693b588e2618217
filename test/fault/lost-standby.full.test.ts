import { afterAll, beforeAll, expect, test } from 'vitest';
import { migrate } from '../../src/db/migrate.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/db/embedded-postgres.js';
import { makeDataDir, removeDataDir } from '../support/data-dir.js';
import { byId } from '../support/requests.js';
import { Peer } from '../support/rpc.js';
import { execute } from '../support/sql.js';
import { World } from '../support/world.js';

const LIMIT_MS = 3_000;
/** Calls end within their limit and this, on a busy machine. */
const SPARE_MS = 10_000;
/** More changes, and more accesses, than there are connections. */
const MANY = 12;

let dataDir: string;
let postgres: EmbeddedPostgres;
let world: World;
let admin: Peer;

beforeAll(async () => {
  dataDir = await makeDataDir();
  // A server of its own: the setting concerns all databases of one.
  postgres = await startEmbeddedPostgres({ dataDir, settings: { fsync: 'off', full_page_writes: 'off' } });
  await migrate(postgres.url);
  world = await World.on(
    { url: postgres.url, drop: () => Promise.resolve() },
    { KEYWARD_DATABASE_TIMEOUT_SECONDS: String(LIMIT_MS / 1000) },
  );
  admin = new Peer(world.server.address, { token: world.adminToken });
}, 120_000);

afterAll(async () => {
  admin.close();
  await world.close();
  await postgres.stop();
  await removeDataDir(dataDir);
});

/** require makes commits wait for a standby of this name; of none, for nobody. */
async function requireStandby(name: string): Promise<void> {
  await execute(postgres.url, `ALTER SYSTEM SET synchronous_standby_names = '${name}'`);
  await execute(postgres.url, 'SELECT pg_reload_conf()');
  const present = async () => (await execute(postgres.url, 'SHOW synchronous_standby_names'))[0];
  await expect.poll(present, { timeout: 20_000 }).toEqual({ synchronous_standby_names: name });
}

async function timed<T>(work: Promise<T>): Promise<{ readonly outcome: T; readonly ms: number }> {
  const begun = performance.now();
  return { outcome: await work, ms: performance.now() - begun };
}

test('while the synchronous standby is lost, validations go on, and what must be durable ends in its time', async () => {
  const changed = await Promise.all(Array.from({ length: MANY }, () => world.issue('owner-a')));
  const missed = await Promise.all(Array.from({ length: MANY }, () => world.issue('owner-a')));
  const secret = await world.keep('owner-a');
  const known = world.tokenOf('staff-b');
  await admin.call('validateToken', { token: known });
  await requireStandby('lost');
  try {
    const changes = changed.map((token) => timed(admin.call('deactivateToken', { selector: byId(token) })));
    const accesses = changed.map(() => timed(admin.call('accessSecret', { secret: byId(secret) })));
    const committing = async () =>
      (await execute(postgres.url, "SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'")).length;
    await expect.poll(committing, { timeout: 10_000 }).toBeGreaterThanOrEqual(2);
    let areOver = false;
    const all = Promise.all([...changes, ...accesses]).finally(() => (areOver = true));
    const validated = await Promise.all([
      admin.call('validateToken', { token: known }),
      ...missed.map(({ plaintext }) => admin.call('validateToken', { token: plaintext })),
      ...missed.map((_, index) => admin.call('validateToken', { token: `unknown-${index}` })),
    ]);
    expect(areOver).toBe(false);
    expect(validated.map(({ code }) => code)).toEqual(validated.map(() => 'OK'));
    for (const { outcome, ms } of await all) {
      expect(outcome.code).toBe('UNAVAILABLE');
      expect(ms).toBeLessThan(LIMIT_MS + SPARE_MS);
    }
    const unknown = (await Promise.all(changes)).filter(
      ({ outcome }) => outcome.metadata['outcome'] === 'unknown',
    );
    expect(unknown.length).toBeGreaterThanOrEqual(1);
  } finally {
    await requireStandby('');
  }
  const access = async () => (await admin.call('accessSecret', { secret: byId(secret) })).code;
  await expect.poll(access, { timeout: 20_000 }).toBe('OK');
  const change = async () =>
    (await admin.call('activateToken', { selector: byId(changed[0] ?? secret) })).code;
  await expect.poll(change, { timeout: 20_000 }).toBe('OK');
}, 120_000);
