import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyward } from '../../support/keyward-command.js';
import { HoldStream } from '../../support/hold-stream.js';
import { outcomeOf } from '../../support/rpc.js';
import { existing, World } from '../../support/world.js';

let world: World;

beforeAll(async () => {
  world = await World.create();
  await world.startServer();
});

afterAll(() => world.close());

test('all replicas are listed, with what they hold their clients by', async () => {
  const token = await world.issue('owner-a');
  const stream = new HoldStream(world.server, world.adminToken, { label: 'checkout' });
  const { replicaId } = await stream.open();
  await stream.hold(token.plaintext);
  const replica = async () => {
    const { replicas } = await world.admin.status.listReplicas({});
    expect(replicas).toHaveLength(2);
    return existing(replicas.find(({ id }) => id === replicaId));
  };
  // It registers them with the next renewal of its lease.
  await expect.poll(replica, { timeout: 5_000 }).toMatchObject({
    clients: 1,
    clientGroups: [{ label: 'checkout', agent: 'a test', clients: 1, entries: 1n }],
  });
  const { version, leaseLeft, revision } = await replica();
  expect(version).toMatch(/^\d+\.\d+\.\d+/);
  expect(leaseLeft?.seconds).toBeGreaterThanOrEqual(0n);
  expect(revision).toBeGreaterThan(0n);
  const env = { KEYWARD_SERVER: world.server.address, KEYWARD_TOKEN: world.adminToken };
  const table = await keyward(['status'], { env });
  expect(table).toMatch(/^REPLICA +VERSION +LEASE +BEHIND +CLIENTS +LABELS\n/);
  expect(table).toMatch(new RegExp(`${replicaId} +\\S+ +[\\d.]+ +0 +1 +checkout\n`));
  const json = JSON.parse(await keyward(['status', '--json'], { env })) as { replicas: object[] };
  expect(json.replicas).toHaveLength(2);
  expect(json.replicas[0]).toMatchObject({ leaseLeft: expect.stringMatching(/^-?\d+\.\d{9}s$/) as string });
  stream.cut();
});

test('who is neither staff nor a superuser is not told', async () => {
  expect(await outcomeOf(world.as('plain-a').status.listReplicas({}))).toBe(
    'PERMISSION_DENIED NOT_PERMITTED',
  );
});
