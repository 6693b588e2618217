import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Propagation } from '../../../src/client/index.js';
import { HoldStream, ownedBy, waitedMs, type HoldStreamOptions } from '../../support/hold-stream.js';
import { byId } from '../../support/requests.js';
import type { TestServer } from '../../support/server.js';
import { existing, World, type Issued } from '../../support/world.js';

const LEASE_MS = 3_000;

let world: World;
let here: TestServer;
let other: TestServer;
const streams: HoldStream[] = [];

beforeAll(async () => {
  world = await World.create();
  here = world.server;
  other = await world.startServer();
});

afterEach(() => {
  for (const stream of streams.splice(0)) stream.cut();
});

afterAll(() => world.close());

function streamTo(server: TestServer, options: HoldStreamOptions = {}, token = world.adminToken): HoldStream {
  const stream = new HoldStream(server, token, options);
  streams.push(stream);
  return stream;
}

async function opened(
  server: TestServer,
  options: HoldStreamOptions = {},
  token?: string,
): Promise<HoldStream> {
  const stream = streamTo(server, options, token);
  await stream.open();
  return stream;
}

/** deactivate switches a token off through `here`, and tells how far that came. */
async function deactivate(token: Issued): Promise<Propagation> {
  return existing((await world.admin.tokens.deactivateToken({ selector: byId(token) })).propagation);
}

describe.each([
  ['of the replica that makes the change', () => here],
  ['of another replica', () => other],
])('a client %s', (_name, server) => {
  test('has forgotten a token when the call that switches it off returns', async () => {
    const token = await world.issue('owner-a');
    const bystander = await world.issue('owner-a');
    const stream = await opened(server());
    const [fact] = await stream.hold(token.plaintext, bystander.plaintext);
    const propagation = await deactivate(token);
    expect(propagation).toMatchObject({ complete: true, clientsAcknowledged: 1, clientsExpired: 0 });
    expect(waitedMs(propagation)).toBeLessThan(LEASE_MS / 2);
    expect(stream.invalidations).toMatchObject([{ number: 1n, handles: [fact?.handle], everything: false }]);
    const [again] = await stream.lookUp(token.plaintext);
    expect(again).toMatchObject({ known: true, isActive: false });
  });

  test('keeps the change waiting until it has acknowledged', async () => {
    const token = await world.issue('owner-a');
    const stream = await opened(server(), { acknowledges: false });
    await stream.hold(token.plaintext);
    let isOver = false;
    const change = deactivate(token).then((propagation) => {
      isOver = true;
      return propagation;
    });
    const { number } = await stream.next('invalidation');
    expect(isOver).toBe(false);
    stream.acknowledge(number);
    expect(await change).toMatchObject({ complete: true, clientsAcknowledged: 1 });
  });

  test('that is cut off keeps it waiting until its lease is over, and no longer', async () => {
    const token = await world.issue('owner-a');
    const stream = await opened(server());
    await stream.hold(token.plaintext);
    stream.cut();
    await stream.ended;
    const propagation = await deactivate(token);
    expect(propagation).toMatchObject({ complete: true, clientsAcknowledged: 0, clientsExpired: 1 });
    expect(waitedMs(propagation)).toBeGreaterThan(500);
    expect(waitedMs(propagation)).toBeLessThan(LEASE_MS + 500);
  });

  test('that does not react gets no lease, and delays nothing that it does not hold', async () => {
    const held = await world.issue('owner-a');
    const free = await world.issue('owner-a');
    const stream = await opened(server(), { acknowledges: false });
    await stream.hold(held.plaintext);
    const before = await server().metric('keyward_holder_waits_total');
    expect(waitedMs(await deactivate(free))).toBeLessThan(LEASE_MS / 2);
    expect(await deactivate(held)).toMatchObject({ complete: true, clientsExpired: 1 });
    expect(await stream.renew()).toMatchObject({ lease: undefined, refusal: 2 });
    expect(await server().metric('keyward_holder_waits_total')).toBe(before + 1);
    stream.acknowledge(existing(stream.invalidations.at(-1)).number);
    expect((await stream.renew()).lease).toBeDefined();
  });

  test('that has left delays nothing', async () => {
    const token = await world.issue('owner-a');
    const stream = await opened(server());
    await stream.hold(token.plaintext);
    stream.left();
    expect(await stream.ended).toBe('OK');
    expect(await deactivate(token)).toMatchObject({ clientsAcknowledged: 0, clientsExpired: 0 });
  });

  test('forgets by owner, and by account', async () => {
    const token = await world.issueTo();
    const stream = await opened(server());
    await stream.hold(token.plaintext);
    const { propagation } = await world.admin.accounts.updateUser({
      selector: { selector: { $case: 'id', value: existing(token.profile.userId) } },
      user: { isActive: false },
      updateMask: ['is_active'],
    });
    expect(propagation).toMatchObject({ complete: true, clientsAcknowledged: 1 });
    expect(stream.invalidations[0]).toMatchObject({ userIds: [existing(token.profile.userId)] });
  });
});

describe('a client that comes from another stream', () => {
  test('keeps what it holds, and is told what was changed meanwhile before it gets a lease', async () => {
    const [kept, changed] = [await world.issue('owner-a'), await world.issue('owner-a')];
    const first = await opened(here);
    const facts = await first.hold(kept.plaintext, changed.plaintext);
    const { position } = first;
    first.left();
    await first.ended;
    await deactivate(changed);
    const second = streamTo(other, { clientId: first.clientId });
    expect(await second.open({ position, tokens: ownedBy(...facts) })).toMatchObject({ resumed: true });
    expect((await second.renew()).lease).toBeDefined();
    const order = second.received.map(({ $case }) => $case);
    expect(order).toEqual(['opened', 'invalidation', 'grant']);
    expect(second.invalidations).toMatchObject([{ handles: [facts[1]?.handle] }]);
    expect(await deactivate(kept)).toMatchObject({ complete: true, clientsAcknowledged: 1 });
  });

  test('of another epoch must forget everything', async () => {
    const stream = streamTo(here);
    const position = { epoch: '00000000-0000-4000-8000-000000000000', revision: 1n };
    expect(await stream.open({ position })).toMatchObject({ resumed: false });
  });

  test('from too far back must forget everything', async () => {
    const first = await opened(here);
    const { epoch } = existing((await first.renew()).position);
    const stream = streamTo(here);
    await world.issue('owner-a');
    const tokens = [{ userProfileId: 1n, userId: 1n, accountId: 1n, handles: [7n] }];
    const { resumed } = await stream.open({ position: { epoch, revision: 0n }, tokens });
    await stream.renew();
    if (resumed) expect(stream.invalidations.length).toBeLessThanOrEqual(1);
    else expect(stream.invalidations).toEqual([]);
  });

  test('ends its other stream at the same replica, and nobody else does', async () => {
    const first = await opened(here);
    const stranger = await opened(here, { clientId: first.clientId }, world.tokenOf('staff-a'));
    expect((await first.renew()).lease).toBeDefined();
    await opened(here, { clientId: first.clientId });
    expect(await first.ended).toBe('ABORTED HOLDER_REPLACED');
    expect((await stranger.renew()).lease).toBeDefined();
  });
});

describe('the caller of a client', () => {
  test('needs the scope', async () => {
    const { plaintext } = await world.issue('owner-a', { scopes: ['keyward.tokens.validate'] });
    const stream = streamTo(here, {}, plaintext);
    stream.begin();
    expect(await stream.ended).toBe('PERMISSION_DENIED SCOPE_MISSING');
  });

  test('who is shut out has forgotten everything when that call returns, and is ended', async () => {
    const own = await world.issue('owner-a');
    const token = await world.issue('staff-a');
    const stream = await opened(other, {}, own.plaintext);
    await stream.hold(token.plaintext);
    const { propagation } = await world.admin.tokens.revokeToken({ selector: byId(own) });
    expect(propagation).toMatchObject({ complete: true, clientsAcknowledged: 1 });
    expect(stream.invalidations).toMatchObject([{ everything: true }]);
    expect(await stream.ended).toBe('UNAUTHENTICATED CREDENTIALS_REFUSED');
  });

  test('whose token has expired is ended with the next renewal', async () => {
    const own = await world.issue('owner-a', {
      expiry: { $case: 'ttl', value: { seconds: 60n, nanos: 0 } },
    });
    const stream = await opened(here, {}, own.plaintext);
    await stream.renew();
    world.clock.advance(61_000);
    stream.send({ $case: 'renewal', value: { number: 9n, released: [], uses: [], secretUses: [] } });
    expect(await stream.ended).toBe('UNAUTHENTICATED CREDENTIALS_REFUSED');
  });
});

describe('facts', () => {
  test('are what a verdict is judged from', async () => {
    const token = await world.issue('owner-a', { scopes: ['orders.read'] });
    const stream = await opened(here);
    const [fact, unknown] = await stream.lookUp(token.plaintext, 'nothing that anybody knows');
    expect(fact).toMatchObject({
      keep: true,
      known: true,
      keyId: token.keyId,
      name: token.name,
      scopes: ['orders.read'],
      principal: { username: 'owner-a' },
      isActive: true,
      userIsActive: true,
      accountIsActive: true,
      expiresIn: undefined,
      stale: false,
    });
    expect(unknown).toMatchObject({ keep: false, known: false, handle: 0n });
  });

  test('tell of a token that does not pass only whose it is', async () => {
    const token = await world.issue('owner-a', { isActive: false, scopes: ['orders.read'] });
    const stream = await opened(here);
    const [fact] = await stream.lookUp(token.plaintext);
    expect(fact).toMatchObject({ keyId: token.keyId, name: '', scopes: [], isActive: false });
    expect(fact?.principal).toMatchObject({ username: '', isStaff: false });
    expect(fact?.principal?.userId).toBeGreaterThan(0n);
  });

  test('name one handle at all replicas', async () => {
    const token = await world.issue('owner-a');
    const handles = await Promise.all(
      [here, other].map(async (server) => (await (await opened(server)).lookUp(token.plaintext))[0]?.handle),
    );
    expect(handles[0]).toBe(handles[1]);
  });

  test('tell how long a text passes', async () => {
    const token = await world.issue('owner-a', {
      expiry: { $case: 'ttl', value: { seconds: 60n, nanos: 0 } },
    });
    const stream = await opened(here);
    const [fact] = await stream.lookUp(token.plaintext);
    expect(fact?.expiresIn?.seconds).toBeGreaterThanOrEqual(59n);
    world.clock.advance(61_000);
    const [over] = await stream.lookUp(token.plaintext);
    expect(over?.expiresIn?.seconds).toBeLessThan(0n);
  });
});

test('uses that a client reports of what it was told move the time of last use forward, and no further than the present', async () => {
  const token = await world.issue('owner-a');
  const stranger = await world.issue('owner-a');
  const stream = await opened(here);
  await stream.lookUp(token.plaintext);
  const lastUsedAgo = { seconds: 0n, nanos: 0 };
  const uses = [token, stranger].map(({ keyId }) => ({ keyId, count: 3, lastUsedAgo }));
  const before = await here.metric('keyward_validations_total');
  stream.send({ $case: 'renewal', value: { number: 1n, released: [], uses, secretUses: [] } });
  await stream.next('grant');
  expect(await here.metric('keyward_validations_total')).toBeGreaterThanOrEqual(before + 3);
  const usedAt = async (of = token) =>
    (await world.admin.tokens.getToken({ token: byId(of) })).token?.lastUsedAt?.seconds;
  await expect.poll(usedAt, { timeout: 10_000 }).toBe(BigInt(Math.floor(world.clock.now() / 1000)));
  // Of that one the client was told nothing.
  expect(await usedAt(stranger)).toBeUndefined();
}, 15_000);

test('a replica that stops sends its clients away, and signs off when none has a lease any more', async () => {
  const leaving = await world.startServer();
  const token = await world.issue('owner-a');
  const first = await opened(leaving);
  const facts = await first.hold(token.plaintext);
  const stopped = leaving.stop();
  expect(await first.next('leave')).toEqual({ reason: 1 });
  expect(await first.renew()).toMatchObject({ lease: undefined, refusal: 4 });
  const second = streamTo(other, { clientId: first.clientId });
  await second.open({ position: first.position, tokens: ownedBy(...facts) });
  expect((await second.renew()).lease).toBeDefined();
  first.left();
  await stopped;
  expect(await deactivate(token)).toMatchObject({ complete: true, acknowledged: 1, clientsAcknowledged: 1 });
});
