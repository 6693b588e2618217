import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { digestBytes, digestOf } from '../../../src/crypto/digest.js';
import type { Propagation } from '../../../src/client/index.js';
import { HoldStream, millisecondsOf, waitedMs } from '../../support/hold-stream.js';
import { byId } from '../../support/requests.js';
import { existing, World, type Issued } from '../../support/world.js';

const MAX_ENTRIES = 16;
const MAX_STREAMS_OF_A_USER = 4;
const MAX_HOLDERS = 12;
const LEASE_MS = 3_000;

let world: World;
const streams: HoldStream[] = [];

beforeAll(async () => {
  world = await World.create({
    KEYWARD_HOLDER_MAX_ENTRIES: String(MAX_ENTRIES),
    KEYWARD_MAX_HOLDERS: String(MAX_HOLDERS),
    KEYWARD_MAX_STREAMS_PER_CALLER: String(MAX_STREAMS_OF_A_USER),
  });
});

// What one test leaves is nothing that the next one counts.
afterEach(() => {
  for (const stream of streams.splice(0)) stream.cut();
});

afterAll(() => world.close());

async function opened(acknowledges = true, token = world.adminToken): Promise<HoldStream> {
  const stream = new HoldStream(world.server, token, { acknowledges });
  streams.push(stream);
  await stream.open();
  return stream;
}

async function deactivate(token: Issued): Promise<Propagation> {
  return existing((await world.admin.tokens.deactivateToken({ selector: byId(token) })).propagation);
}

/** othersAreServed makes sure that another client, those who change what it holds, and those who ask by calls notice nothing. */
async function othersAreServed(): Promise<void> {
  const token = await world.issue('owner-a');
  const bystander = await opened(true, world.tokenOf('staff-b'));
  await bystander.hold(token.plaintext);
  const propagation = await deactivate(token);
  expect(propagation).toMatchObject({ complete: true, clientsAcknowledged: 1, clientsExpired: 0 });
  expect(waitedMs(propagation)).toBeLessThan(LEASE_MS / 2);
  const { valid } = await world.admin.tokens.validateToken({ token: token.plaintext });
  expect(valid).toBe(false);
  bystander.left();
  expect(await bystander.ended).toBe('OK');
}

/** ends tells how a stream ends that says something. */
async function ends(say: (stream: HoldStream) => void, isOpen = true): Promise<string> {
  const stream = isOpen ? await opened() : new HoldStream(world.server, world.adminToken);
  say(stream);
  const ended = await stream.ended;
  stream.cut();
  return ended;
}

test('one client more than a replica takes is refused', async () => {
  const all = [];
  for (const user of ['staff-a', 'owner-a', 'staff-b'] as const)
    for (let number = 0; number < MAX_STREAMS_OF_A_USER; number += 1)
      all.push(await opened(true, world.tokenOf(user)));
  const surplus = new HoldStream(world.server, world.adminToken);
  surplus.begin();
  expect(await surplus.ended).toBe('RESOURCE_EXHAUSTED TOO_MANY_HOLDERS');
  for (const stream of all) stream.left();
  await Promise.all(all.map(({ ended }) => ended));
});

const RENEWAL = { number: 1n, released: [], uses: [], secretUses: [] };
const INVALID = 'INVALID_ARGUMENT INVALID_FIELDS';

test.each<[string, (stream: HoldStream) => void]>([
  ['acknowledges what it was not told', (stream) => stream.acknowledge(1n)],
  ['opens twice', (stream) => stream.begin()],
  [
    'renews with a number that it had',
    (stream) => [1, 2].forEach(() => stream.send({ $case: 'renewal', value: RENEWAL })),
  ],
  ['asks for no texts', (stream) => stream.send({ $case: 'lookUp', value: { texts: [] } })],
  [
    'asks for a digest that is none',
    (stream) => stream.send({ $case: 'lookUp', value: { texts: [{ id: 1n, digest: Buffer.alloc(3) }] } }),
  ],
  [
    'asks for too many texts',
    (stream) => {
      const texts = Array.from({ length: 501 }, (_each, id) => ({
        id: BigInt(id),
        digest: Buffer.alloc(64),
      }));
      stream.send({ $case: 'lookUp', value: { texts } });
    },
  ],
  [
    'reports uses of no key',
    (stream) => {
      const uses = [{ keyId: 'none', count: 0, lastUsedAgo: { seconds: -1n, nanos: 0 } }];
      stream.send({ $case: 'renewal', value: { ...RENEWAL, uses } });
    },
  ],
])('a client that %s is refused', async (_name, say) => {
  expect(await ends(say)).toBe(INVALID);
});

test.each<[string, (stream: HoldStream) => void]>([
  ['begins with something else', (stream) => stream.send({ $case: 'renewal', value: RENEWAL })],
  ['has no id', (stream) => stream.begin({ clientId: '' })],
  ['has an odd label', (stream) => stream.begin({ label: 'a b' })],
  [
    'holds more than it may',
    (stream) => {
      const handles = Array.from({ length: MAX_ENTRIES + 1 }, (_each, index) => BigInt(index + 1));
      const position = { epoch: '00000000-0000-4000-8000-000000000000', revision: 1n };
      stream.begin({ position, tokens: [{ userProfileId: 1n, userId: 1n, accountId: 1n, handles }] });
    },
  ],
  ['holds something without a position', (stream) => stream.begin({ secretIds: [1n] })],
])('a client that %s is refused at once', async (_name, say) => {
  expect(await ends(say, false)).toBe(INVALID);
});

test('a client that looks up more than it may hold is told to forget the first of it', async () => {
  const tokens = [];
  for (let number = 0; number <= MAX_ENTRIES; number += 1) tokens.push(await world.issue('owner-a'));
  await world.server.heard();
  const stream = await opened(false);
  expect((await stream.renew()).lease).toBeDefined();
  const facts = await stream.lookUp(...tokens.map(({ plaintext }) => plaintext));
  expect(facts.filter(({ keep }) => keep)).toHaveLength(MAX_ENTRIES);
  const { number, handles } = await stream.next('invalidation');
  expect(handles).toEqual([facts[0]?.handle]);
  // Until it has said so it may hold the first as well.
  stream.acknowledges = true;
  const { propagation } = await world.admin.tokens.deactivateToken({ selector: byId(existing(tokens[0])) });
  expect(propagation).toMatchObject({ clientsAcknowledged: 1 });
  stream.acknowledge(number);
  expect((await stream.lookUp(existing(tokens.at(-1)).plaintext))[0]?.keep).toBe(true);
  stream.left();
  await stream.ended;
});

test('who comes, takes a lease and is gone without end is refused until those leases are over, and others are not', async () => {
  const token = world.tokenOf('staff-a');
  let refused: string | undefined;
  for (let attempts = 0; attempts < 10 * MAX_HOLDERS && refused === undefined; attempts += 1) {
    const stream = new HoldStream(world.server, token);
    stream.begin();
    const isOpen = stream.next('opened').then(() => undefined);
    refused = await Promise.race([isOpen, stream.ended]);
    if (refused === undefined) await stream.renew();
    stream.cut();
    await expect.poll(() => world.server.metric('keyward_holder_clients')).toBe(0);
  }
  expect(refused).toBe('RESOURCE_EXHAUSTED TOO_MANY_HOLDERS');
  await othersAreServed();
});

test('a client that asks for leases without end has none that is longer, and delays nobody', async () => {
  const token = await world.issue('owner-a');
  const stream = await opened();
  await stream.hold(token.plaintext);
  const renewals = 3_000;
  for (let number = 10; number < 10 + renewals; number += 1)
    stream.send({ $case: 'renewal', value: { ...RENEWAL, number: BigInt(number) } });
  await othersAreServed();
  await expect.poll(() => stream.grants.length, { timeout: 20_000 }).toBe(1 + renewals);
  const longestMs = Math.max(...stream.grants.map(({ lease }) => millisecondsOf(lease)));
  expect(longestMs).toBeLessThanOrEqual(LEASE_MS);
  stream.cut();
  const propagation = await deactivate(token);
  expect(propagation).toMatchObject({ complete: true, clientsAcknowledged: 0 });
  expect(waitedMs(propagation)).toBeLessThan(LEASE_MS + 500);
}, 60_000);

test('a client that floods look-ups and never reads is cut off, and costs others nothing', async () => {
  const scopes = Array.from({ length: 60 }, (_each, index) => `${'s'.repeat(120)}${index}`);
  const { plaintext } = await world.issue('owner-a', { scopes });
  const stream = await opened();
  stream.pause();
  const digest = digestBytes(digestOf(plaintext));
  const texts = Array.from({ length: 500 }, (_each, id) => ({ id: BigInt(id), digest }));
  for (let time = 0; time < 20; time += 1) stream.send({ $case: 'lookUp', value: { texts } });
  await othersAreServed();
  await expect.poll(() => world.server.metric('keyward_holder_clients')).toBe(0);
  stream.resume();
  expect(await stream.ended).toBe('RESOURCE_EXHAUSTED WATCH_TOO_SLOW');
  stream.cut();
});

test('a client that is slow three times within a minute has no lease for a while, and comes by nothing', async () => {
  const stream = await opened(false);
  for (let time = 0; time < 3; time += 1) {
    const token = await world.issue('owner-a');
    await stream.hold(token.plaintext);
    await deactivate(token);
    expect(await stream.renew()).toMatchObject({ lease: undefined });
    await othersAreServed();
    stream.acknowledge(existing(stream.invalidations.at(-1)).number);
  }
  expect(await stream.renew()).toMatchObject({ lease: undefined, refusal: 3 });
  const { plaintext } = await world.issue('owner-a');
  expect(await stream.lookUp(plaintext)).toMatchObject([{ known: true, keep: false }]);
  stream.cut();
}, 20_000);
