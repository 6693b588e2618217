import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { connect, type KeywardClient } from '@keyward/client';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { registerCanary } from '../../../support/canaries.js';
import { extent } from '../../../support/extent.js';
import { execute } from '../../../support/sql.js';
import { World } from '../../../support/world.js';
import type { PoolSettings, Queried } from './pool-main.js';

const ROTATIONS = extent('HAND_OVER_ROTATIONS', 5, 100);
/** How long sessions by the old password may last once the call has returned that ended it. */
const ENDED_WITHIN_MS = 1_000;
const SECRET = 'checkout-database';
const NAME = `hand_over_${randomBytes(4).toString('hex')}`;
const ROLES = [`${NAME}_a`, `${NAME}_b`] as const;
const MAIN = fileURLToPath(new URL('pool-main.ts', import.meta.url));

let world: World;
let admin: KeywardClient;
const children: ChildProcess[] = [];

beforeAll(async () => {
  world = await World.create();
  admin = connect({ servers: world.server.address, token: world.adminToken });
  for (const role of ROLES) await sql(`CREATE ROLE ${role} LOGIN`);
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await vi.waitFor(async () => expect(await sessionsOf(...ROLES)).toBe(0), 10_000);
  for (const role of ROLES) await sql(`DROP ROLE ${role}`);
  admin.close();
  await world.close();
});

function sql(statement: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
  return execute(world.database.url, statement, values);
}

async function sessionsOf(...roles: readonly string[]): Promise<number> {
  const query = 'SELECT count(*)::int AS count FROM pg_stat_activity WHERE usename = ANY($1)';
  const [row] = await sql(query, [roles]);
  return Number(row?.['count']);
}

/** payloadOf gives a role a new password, and what a pool needs to log in by it. */
async function payloadOf(role: string): Promise<{ text: string }> {
  const password = registerCanary(randomBytes(16).toString('hex'));
  await sql(`ALTER ROLE ${role} PASSWORD '${password}'`);
  return { text: JSON.stringify({ user: role, password }) };
}

async function start(server: string): Promise<ChildProcess> {
  const { hostname, port, pathname } = new URL(world.database.url);
  const child = fork(MAIN, {
    execArgv: ['--import', 'tsx'],
    env: {
      PATH: process.env['PATH'],
      PGHOST: decodeURIComponent(hostname),
      PGPORT: port,
      PGDATABASE: pathname.slice(1),
    },
  });
  children.push(child);
  child.send({ server, token: world.adminToken, secret: SECRET } satisfies PoolSettings);
  await once(child, 'message');
  return child;
}

test(
  `pools of two processes go over to a new password ${ROTATIONS} times without one failed query, each within a second`,
  async () => {
    const { secret } = await admin.secrets.createSecret({ name: SECRET, payload: await payloadOf(ROLES[0]) });
    const selector = { id: secret?.id ?? 0n };
    const other = await world.startServer();
    await Promise.all([start(world.server.address), start(other.address)]);

    let longestMs = 0;
    for (let version = 1; version <= ROTATIONS; version += 1) {
      // The two roles take turns: nobody has used this one's password since it was replaced the last time.
      const [old, next] = version % 2 === 1 ? ROLES : [ROLES[1], ROLES[0]];
      await admin.secrets.addSecretVersion({ selector, payload: await payloadOf(next) });
      const { propagation } = await admin.secrets.disableSecretVersion({ selector, version });
      expect(propagation).toMatchObject({ complete: true });
      const endedAt = performance.now();
      await expect.poll(() => sessionsOf(old), { interval: 5, timeout: 5_000 }).toBe(0);
      longestMs = Math.max(longestMs, performance.now() - endedAt);
      // Whoever came back with the old password would be refused from now on, and tell of a failed query.
      await sql(`ALTER ROLE ${old} PASSWORD NULL`);
      await expect.poll(() => sessionsOf(next)).toBeGreaterThan(0);
    }

    const told = await Promise.all(
      children.map(async (child) => {
        const answered = once(child, 'message');
        child.send('finish');
        const [queried] = (await answered) as [Queried];
        return queried;
      }),
    );
    const queries = told.reduce((sum, each) => sum + each.queries, 0);
    console.log(
      `${ROTATIONS} rotations, ${queries} queries; sessions by an old password lasted ${longestMs.toFixed(0)} ms at most`,
    );
    expect(told.flatMap(({ failures }) => failures)).toEqual([]);
    for (const each of told) expect(each.queries).toBeGreaterThan(ROTATIONS);
    expect(longestMs).toBeLessThan(ENDED_WITHIN_MS);
  },
  30_000 + 4_000 * ROTATIONS,
);

test('what those processes run is the example that the documentation shows', () => {
  const docs = readFileSync(fileURLToPath(new URL('../../../../docs/clients.md', import.meta.url)), 'utf8');
  const example = readFileSync(fileURLToPath(new URL('follow-pool.ts', import.meta.url)), 'utf8');
  expect(docs).toContain(example.trim());
});
