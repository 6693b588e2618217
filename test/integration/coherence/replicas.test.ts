import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KeywardClient, Propagation } from '../../../src/client/index.js';
import { responseFields } from '../../support/descriptors.js';
import { PROPAGATION_ROWS, seenIn, type Seen } from '../../support/propagation-rows.js';
import { byId, requestFor } from '../../support/requests.js';
import { METHOD_NAMES, Peer } from '../../support/rpc.js';
import { certificateOptions, MUTUAL_TLS, type TestServer } from '../../support/server.js';
import { execute } from '../../support/sql.js';
import { existing, World } from '../../support/world.js';

const OF_SECRETS = [
  'transferSecret',
  'deleteSecret',
  'disableSecretVersion',
  'enableSecretVersion',
  'destroySecretVersion',
  'revokeAccess',
] as const;

let world: World;
let servers: TestServer[];
let clients: KeywardClient[];

beforeAll(async () => {
  world = await World.create();
  servers = [world.server, await world.startServer(), await world.startServer()];
  clients = servers.map((server) => world.client(world.adminToken, server));
});

afterAll(() => world.close());

/** seenBy is what each replica tells of a token, at the same time. */
function seenByAll(token: string): Promise<Seen[]> {
  return Promise.all(clients.map(async ({ tokens }) => seenIn(await tokens.validateToken({ token }))));
}

/** known makes every replica remember a token. */
async function known(token: string, seen: Partial<Seen>): Promise<void> {
  for (let time = 0; time < 2; time += 1) {
    expect(await seenByAll(token)).toMatchObject(clients.map(() => seen));
  }
}

describe('a change that one of three replicas makes', () => {
  test('is waited for by every RPC that tells of it', () => {
    const telling = METHOD_NAMES.filter((name) =>
      responseFields(name).some((field) => field.name === 'propagation'),
    );
    expect([...Object.keys(PROPAGATION_ROWS), ...OF_SECRETS].sort()).toEqual(telling.sort());
  });

  test.each(Object.entries(PROPAGATION_ROWS))(
    'is seen by all when the call returns: %s',
    async (_name, prepare) => {
      for (const client of clients) {
        const { plaintext, before, call, after } = await prepare(world);
        await known(plaintext, before);
        const { propagation } = await call(client);
        expect(await seenByAll(plaintext)).toMatchObject(clients.map(() => after));
        expect(propagation).toMatchObject({ complete: true, acknowledged: 2, pending: 0 });
        expect(propagation?.effectiveBy).toBeUndefined();
        expect(propagation?.waited?.seconds).toBe(0n);
      }
    },
  );

  test('is waited for also where it changes nothing, since an earlier one may be on its way', async () => {
    const token = await world.issue('owner-a', { isActive: false });
    const { propagation } = await world.admin.tokens.deactivateToken({ selector: byId(token) });
    expect(propagation).toMatchObject({ complete: true, acknowledged: 2 });
  });

  test.each(OF_SECRETS)(
    'is waited for if it takes a value away, since clients may hold it: %s',
    async (name) => {
      const request = await requestFor(name, world);
      const call = world.admin.secrets[name] as (request: unknown) => Promise<{ propagation?: Propagation }>;
      expect(await call(request)).toMatchObject({
        propagation: {
          complete: true,
          acknowledged: 2,
          pending: 0,
          clientsAcknowledged: 0,
          clientsExpired: 0,
        },
      });
    },
  );

  test('refuses the old plaintext after its grace on all of them, and the new one passes at once', async () => {
    const token = await world.issue('owner-a');
    await known(token.plaintext, { reason: 'OK' });
    const { plaintext } = await world.admin.tokens.rotateToken({
      selector: byId(token),
      gracePeriod: { seconds: 60n, nanos: 0 },
    });
    await known(token.plaintext, { reason: 'OK' });
    await known(plaintext, { reason: 'OK' });
    world.clock.advance(60_001);
    expect(await seenByAll(token.plaintext)).toMatchObject(clients.map(() => ({ reason: 'EXPIRED' })));
  });

  test('is counted, as are the acknowledgements of the others', async () => {
    const writer = existing(servers[0]);
    const sent = () =>
      Promise.all(servers.map((server) => server.metric('keyward_coherence_acknowledgements_total')));
    const before = await sent();
    const waits = await writer.metric('keyward_coherence_propagation_seconds_count');
    const token = await world.issue('owner-a');
    await world.admin.tokens.deactivateToken({ selector: byId(token) });
    expect(await writer.metric('keyward_coherence_propagation_seconds_count')).toBe(waits + 1);
    // They are counted once they are sent, and the writer may have heard of them by then.
    await expect.poll(sent).toEqual(before.map((count, index) => count + (index === 0 ? 2 : 1)));
    for (const server of servers) expect(await server.metric('keyward_coherence_lease_held')).toBe(1);
  });
});

test('a token that plain SQL switches off is refused by all replicas within 100 ms', async () => {
  const times: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const token = await world.issue('owner-a');
    await known(token.plaintext, { reason: 'OK' });
    await execute(world.database.url, 'UPDATE tokens SET is_active = false WHERE id = $1', [
      String(token.id),
    ]);
    const committedAt = performance.now();
    await expect
      .poll(() => seenByAll(token.plaintext), { interval: 1, timeout: 2_000 })
      .toMatchObject(clients.map(() => ({ reason: 'INACTIVE' })));
    times.push(performance.now() - committedAt);
  }
  console.log(`refused after a change by SQL: ${times.map((ms) => `${ms.toFixed(1)} ms`).join(', ')}`);
  // Nothing here waits for time to pass; but other processes may have the machine for a while.
  expect(times.sort((a, b) => a - b)[2]).toBeLessThan(100);
});

test('a user who is switched off is refused by another replica by certificate too', async () => {
  const server = await world.startServer(MUTUAL_TLS);
  const peer = new Peer(server.address, certificateOptions('staff-a'));
  const request = { token: world.adminToken };
  const outcome = async () => (await peer.call('validateToken', request)).code;
  expect([await outcome(), await outcome()]).toEqual(['OK', 'OK']);
  const switchTo = (isActive: boolean) =>
    world.admin.accounts.updateUser({
      selector: { selector: { $case: 'username', value: 'staff-a' } },
      user: { isActive },
      updateMask: ['is_active'],
    });
  await switchTo(false);
  expect(await outcome()).toBe('UNAUTHENTICATED');
  await switchTo(true);
  expect(await outcome()).toBe('OK');
  peer.close();
  await server.stop();
});

test('a replica that stops in order is not waited for', async () => {
  const server = await world.startServer();
  const registered = () => execute(world.database.url, 'SELECT FROM replicas');
  expect(await registered()).toHaveLength(4);
  await server.stop();
  expect(await registered()).toHaveLength(3);
  const token = await world.issue('owner-a');
  const { propagation } = await world.admin.tokens.deactivateToken({ selector: byId(token) });
  expect(propagation).toMatchObject({ complete: true, acknowledged: 2, waited: { seconds: 0n } });
});
