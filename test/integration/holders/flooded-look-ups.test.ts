import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HoldStream } from '../../support/hold-stream.js';
import { byId } from '../../support/requests.js';
import { World } from '../../support/world.js';

/** Look-ups count as a fiftieth of a call. */
const MAX_LOOK_UPS = 100;
const STREAMS = 6;

let world: World;

beforeAll(async () => {
  world = await World.create({ KEYWARD_MAX_CALLS_PER_CALLER: String(MAX_LOOK_UPS / 50) });
});

afterAll(() => world.close());

function strangeTexts(number: number): string[] {
  return Array.from({ length: number }, () => randomUUID());
}

test('look-ups on many streams of one user count together as its calls, and others are served beside them', async () => {
  const { plaintext } = await world.issue('owner-a', { scopes: ['keyward.tokens.cache'] });
  const tokens = [];
  for (let number = 0; number < 10; number += 1) tokens.push(await world.issue('staff-b'));
  const streams = Array.from({ length: STREAMS }, () => new HoldStream(world.server, plaintext));
  await Promise.all(streams.map((stream) => stream.open()));

  const flood = streams.map((stream) => stream.lookUp(...strangeTexts(3 * MAX_LOOK_UPS)));
  for (const token of tokens)
    expect(await world.admin.tokens.validateToken({ token: token.plaintext })).toMatchObject({ valid: true });
  const facts = (await Promise.all(flood)).flat();
  const refused = facts.filter(({ error }) => error !== undefined);
  expect(refused.length).toBeGreaterThan(STREAMS * MAX_LOOK_UPS);
  for (const { error } of refused) expect(error).toMatchObject({ code: 8 });

  // What is read counts no more: as much as before may be asked for.
  const [first] = streams;
  const again = await first?.lookUp(...strangeTexts(MAX_LOOK_UPS));
  expect(again?.every(({ error, known }) => error === undefined && !known)).toBe(true);
  for (const stream of streams) stream.cut();
});

test('accesses on a stream count as calls of the user, a tenth each', async () => {
  const { id } = await world.keep('admin');
  const stream = new HoldStream(world.server, world.adminToken);
  await stream.open();
  const request = { secret: byId({ id }), version: 0, includeExpired: false, skipAccessTime: false };
  const asked = Array.from({ length: 500 }, (_each, number) => BigInt(number + 1));
  for (const each of asked) stream.send({ $case: 'access', value: { id: each, request } });
  const codes = (): number[] =>
    stream.received.flatMap((message) => {
      if (message.$case !== 'accessed') return [];
      const { result } = message.value;
      return [result?.$case === 'error' ? result.value.code : 0];
    });
  await expect.poll(() => codes().length, { timeout: 10_000 }).toBe(asked.length);
  expect(new Set(codes())).toEqual(new Set([0, 8]));
  expect((await stream.access(id)).result?.$case).toBe('access');
  stream.cut();
});
