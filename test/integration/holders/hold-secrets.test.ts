import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { KeywardClient, Propagation } from '../../../src/client/index.js';
import type { HoldAccessed } from '../../../src/gen/keyward/token/v1/hold_verdicts.js';
import { HoldStream } from '../../support/hold-stream.js';
import { byId } from '../../support/requests.js';
import { execute } from '../../support/sql.js';
import type { TestServer } from '../../support/server.js';
import { textOf, World, type Kept } from '../../support/world.js';

let world: World;
let other: TestServer;
const streams: HoldStream[] = [];

beforeAll(async () => {
  world = await World.create();
  other = await world.startServer();
});

afterEach(() => {
  for (const stream of streams.splice(0)) stream.cut();
});

afterAll(() => world.close());

async function opened(server = world.server, token = world.adminToken): Promise<HoldStream> {
  const stream = new HoldStream(server, token);
  streams.push(stream);
  await stream.open();
  return stream;
}

function textIn({ result }: HoldAccessed): string | undefined {
  const value = result?.$case === 'access' ? result.value.payload?.value : undefined;
  return value?.$case === 'text' ? value.value : undefined;
}

/** hold makes a client hold the value of a new secret, under a lease. */
async function hold(server: TestServer, token?: string): Promise<{ kept: Kept; stream: HoldStream }> {
  const kept = await world.keep('owner-a');
  const stream = await opened(server, token);
  await server.heard();
  const accessed = await stream.access(kept.id);
  expect(textIn(accessed)).toBe(kept.value);
  expect(accessed).toMatchObject({ keep: true, expiresIn: undefined });
  expect((await stream.renew()).lease).toBeDefined();
  return { kept, stream };
}

type Call = (client: KeywardClient, kept: Kept) => Promise<{ propagation?: Propagation | undefined }>;

const ENDING: Readonly<Record<string, Call>> = {
  'the version is disabled': ({ secrets }, kept) =>
    secrets.disableSecretVersion({ selector: byId(kept), version: 1 }),
  'the version is destroyed': ({ secrets }, kept) =>
    secrets.destroySecretVersion({ selector: byId(kept), version: 1 }),
  'the secret is deleted': ({ secrets }, kept) => secrets.deleteSecret({ selector: byId(kept) }),
  'the secret gets another owner': ({ secrets }, kept) =>
    secrets.transferSecret({ selector: byId(kept), owner: byId(world.profileOf('staff-b')) }),
};

test.each(Object.entries(ENDING))(
  'a client hands a value out no more when the call returns by which %s',
  async (_name, call) => {
    for (const server of [world.server, other]) {
      const { kept, stream } = await hold(server);
      const { propagation } = await call(world.admin, kept);
      expect(propagation).toMatchObject({ complete: true, clientsAcknowledged: 1, clientsExpired: 0 });
      expect(stream.invalidations).toMatchObject([{ secretIds: [kept.id], everything: false }]);
    }
  },
);

test('a client hands a value out no more when the call returns that takes the grant back', async () => {
  const kept = await world.keep('owner-a');
  const grantee = { selector: byId(kept), userProfile: byId(world.profileOf('staff-b')) };
  await world.admin.secrets.grantAccess({
    ...grantee,
    expiry: { $case: 'ttl', value: { seconds: 60n, nanos: 0 } },
  });
  await other.heard();
  const stream = await opened(other, world.tokenOf('staff-b'));
  const accessed = await stream.access(kept.id);
  expect(textIn(accessed)).toBe(kept.value);
  // It ends with the grant, at the latest.
  expect(accessed.expiresIn?.seconds).toBeLessThanOrEqual(60n);
  await stream.renew();
  const { propagation } = await world.admin.secrets.revokeAccess(grantee);
  expect(propagation).toMatchObject({ complete: true, clientsAcknowledged: 1 });
  expect(stream.invalidations).toMatchObject([{ secretIds: [kept.id] }]);
  const refused = await stream.access(kept.id);
  expect(refused).toMatchObject({ keep: false, result: { $case: 'error', value: { code: 5 } } });
});

test('a new version is told of, and a change of who owns what ends all values', async () => {
  const { kept, stream } = await hold(other);
  await world.admin.secrets.addSecretVersion({ selector: byId(kept), payload: textOf('another') });
  await expect.poll(() => stream.invalidations).toMatchObject([{ secretIds: [kept.id] }]);
  expect(textIn(await stream.access(kept.id))).toBe('another');
  await world.issueTo();
  await world.admin.accounts.updateUser({
    selector: { selector: { $case: 'username', value: 'plain-a' } },
    user: { firstName: 'A' },
    updateMask: ['first_name'],
  });
  await expect.poll(() => stream.invalidations.at(-1)).toMatchObject({ allSecrets: true });
});

test('a value that is read through the stream is recorded, and needs the scope', async () => {
  const kept = await world.keep('owner-a');
  const accesses = () =>
    execute(
      world.database.url,
      `SELECT outcome FROM audit_events WHERE action = 'SECRET_ACCESSED' AND resource_id = $1`,
      [String(kept.id)],
    );
  await (await opened()).access(kept.id);
  expect(await accesses()).toHaveLength(1);
  const { plaintext } = await world.issue('owner-a', { scopes: ['keyward.tokens.cache'] });
  const stream = await opened(world.server, plaintext);
  expect(await stream.next('opened')).toMatchObject({ maxSecrets: 0 });
  const { result } = await stream.access(kept.id);
  expect(result).toMatchObject({ $case: 'error', value: { code: 7 } });
});

test('uses of a value that the client holds move its time of last access; those of others do not', async () => {
  const { kept, stream } = await hold(world.server);
  const foreign = await world.keep('owner-a');
  world.clock.advance(30_000);
  const secretUses = [kept.id, foreign.id].map((secretId) => ({
    secretId,
    count: 2,
    lastUsedAgo: { seconds: 1n, nanos: 0 },
  }));
  stream.send({ $case: 'renewal', value: { number: 9n, released: [], uses: [], secretUses } });
  const accessedAt = async (id: bigint) =>
    (await world.admin.secrets.getSecret({ secret: byId({ id }) })).secret?.lastAccessedAt?.seconds;
  const then = BigInt(Math.floor((world.clock.now() - 1_000) / 1000));
  await expect.poll(() => accessedAt(kept.id)).toBe(then);
  expect(await accessedAt(foreign.id)).toBeUndefined();
});
