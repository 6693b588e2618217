import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { MAX_CALLS } from '../../../src/rpc/front-door/load-limit.js';
import { lockDigests } from '../../support/lock-digests.js';
import { framed, RawHttp2, type RawAnswer } from '../../support/raw-http2.js';
import { encodeRequest, pathOf } from '../../support/rpc.js';
import { World } from '../../support/world.js';

const LIMIT_MS = 25_000;
const PATIENCE = { timeout: 20_000 };
const CALLS_A_CONNECTION = 80;
const VALIDATE = pathOf('validateToken');

let world: World;
/** Of a caller who is in memory, and tokens that are not. */
let caller: string;

beforeAll(async () => {
  world = await World.create({
    KEYWARD_LOG_LEVEL: 'info',
    KEYWARD_FAST_LANE: 'true',
    KEYWARD_DATABASE_TIMEOUT_SECONDS: '60',
  });
  caller = world.tokenOf('staff-a');
  await world.as('staff-a').tokens.validateToken({ token: caller });
});

afterAll(() => world.close());

function callsUnderWay(): Promise<number> {
  return world.server.metric('keyward_calls_under_way');
}

function bytesUnderWay(): Promise<number> {
  return world.server.metric('keyward_request_bytes_under_way');
}

function messageFor(token: string): Buffer {
  return framed(encodeRequest('validateToken', { token }));
}

function validate(wire: RawHttp2, token: string): Promise<RawAnswer> {
  return wire.call(VALIDATE, messageFor(token), { authorization: `Bearer ${caller}` }, LIMIT_MS);
}

test('one call more than are worked on at once is refused, and memory answers all the same', async () => {
  const { plaintext } = await world.issue('staff-a');
  const port = Number(world.server.address.split(':')[1]);
  const wires = await Promise.all(
    Array.from({ length: MAX_CALLS / CALLS_A_CONNECTION + 1 }, () => RawHttp2.open(port)),
  );
  onTestFinished(() => {
    for (const wire of wires) wire.close();
  });
  const [spare, ...others] = wires as [RawHttp2, ...RawHttp2[]];
  const unlock = await lockDigests(world.database.url);
  const waiting = others.flatMap((wire) =>
    Array.from({ length: CALLS_A_CONNECTION }, () => validate(wire, plaintext)),
  );
  await expect.poll(callsUnderWay, PATIENCE).toBe(MAX_CALLS);
  const refused = await validate(spare, plaintext);
  expect(refused).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  expect(refused.received.includes('OVERLOADED')).toBe(true);
  expect(await validate(spare, caller)).toMatchObject({ code: 'OK' });
  await unlock();
  expect(new Set((await Promise.all(waiting)).map(({ code }) => code))).toEqual(new Set(['OK']));
  await expect.poll(callsUnderWay, PATIENCE).toBe(0);
});

test('batches count by their texts, compressed or not: one too many is refused, and a single text is not', async () => {
  const batch = () =>
    encodeRequest('batchValidateTokens', {
      requests: Array.from({ length: 1000 }, () => ({ token: randomBytes(500).toString('hex') })),
    });
  const compressed = Buffer.concat([Buffer.from([1]), framed(gzipSync(batch())).subarray(1)]);
  const wire = await RawHttp2.open(Number(world.server.address.split(':')[1]));
  onTestFinished(() => {
    wire.close();
  });
  const headers = { authorization: `Bearer ${caller}`, 'grpc-encoding': 'gzip' };
  const send = (frame: Buffer) => wire.call(pathOf('batchValidateTokens'), frame, headers, LIMIT_MS);
  const unlock = await lockDigests(world.database.url);
  const waiting = [send(framed(batch())), send(compressed)];
  await expect.poll(callsUnderWay, PATIENCE).toBe(waiting.length);
  await expect.poll(bytesUnderWay, PATIENCE).toBeGreaterThan(32e6);
  for (const frame of [framed(batch()), compressed]) {
    const refused = await send(frame);
    expect(refused).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(refused.received.includes('OVERLOADED')).toBe(true);
  }
  waiting.push(validate(wire, randomBytes(32).toString('hex')));
  await expect.poll(callsUnderWay, PATIENCE).toBe(waiting.length);
  await unlock();
  for (const answer of await Promise.all(waiting)) expect(answer).toMatchObject({ code: 'OK' });
  await expect.poll(bytesUnderWay, PATIENCE).toBe(0);
});

describe('a call whose deadline passes while it waits is not judged', () => {
  const timeout = { 'grpc-timeout': '50m' };
  const misses = () => world.server.metric('keyward_cache_misses_total');
  let wire: RawHttp2;

  beforeEach(async () => {
    wire = await RawHttp2.open(Number(world.server.address.split(':')[1]));
  });
  afterEach(() => {
    wire.close();
  });

  function passed(code: string): object {
    return {
      code,
      received: expect.toSatisfy((bytes: Buffer) => bytes.includes('DEADLINE_PASSED')) as Buffer,
    };
  }

  test('for its credentials', async () => {
    const [{ plaintext }, { plaintext: asked }] = [
      await world.issue('staff-a'),
      await world.issue('staff-a'),
    ];
    const headers = { authorization: `Bearer ${plaintext}` };
    const before = await misses();
    const unlock = await lockDigests(world.database.url);
    const late = wire.call(VALIDATE, messageFor(asked), { ...headers, ...timeout }, LIMIT_MS);
    await expect.poll(misses, PATIENCE).toBe(before + 1);
    await delay(50);
    await unlock();
    expect(await late).toMatchObject(passed('DEADLINE_EXCEEDED'));
    expect(await misses()).toBe(before + 1);
    expect(await wire.call(VALIDATE, messageFor(asked), headers, LIMIT_MS)).toMatchObject({ code: 'OK' });
  });

  test('for its request, even if memory knows the answer', async () => {
    const late = wire.begin(VALIDATE, { authorization: `Bearer ${caller}`, ...timeout }, LIMIT_MS);
    await delay(60);
    late.end(messageFor(caller));
    // It has left the fast lane by then, so that it is the library that tells.
    expect(await late.answer).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  test('and one that is in time has what is left', async () => {
    const headers = { authorization: `Bearer ${caller}`, 'grpc-timeout': '20S' };
    expect(await wire.call(VALIDATE, messageFor(caller), headers, LIMIT_MS)).toMatchObject({ code: 'OK' });
    const { plaintext } = await world.issue('staff-a');
    expect(await wire.call(VALIDATE, messageFor(plaintext), headers, LIMIT_MS)).toMatchObject({ code: 'OK' });
  });
});

test('a call whose client goes counts as work until the database has answered', async () => {
  const { plaintext } = await world.issue('staff-a');
  const session = connect(`http://${world.server.address}`).on('error', () => undefined);
  onTestFinished(() => {
    session.destroy();
  });
  const unlock = await lockDigests(world.database.url);
  const stream = session.request({
    ':method': 'POST',
    ':path': VALIDATE,
    'content-type': 'application/grpc',
    authorization: `Bearer ${caller}`,
  });
  stream.on('error', () => undefined).end(messageFor(plaintext));
  await expect.poll(callsUnderWay, PATIENCE).toBe(1);
  stream.close(constants.NGHTTP2_CANCEL);
  await once(stream, 'close');
  // The service has heard of it by the time that it has answered another call on the same connection.
  const next = session.request({
    ':method': 'POST',
    ':path': '/nothing',
    'content-type': 'application/grpc',
  });
  next
    .on('error', () => undefined)
    .resume()
    .end();
  await once(next, 'close');
  expect(await callsUnderWay()).toBe(1);
  await unlock();
  await expect.poll(callsUnderWay, PATIENCE).toBe(0);
});

test('streams that stay open take no place of calls', async () => {
  const watch = world.as('staff-a').tokens.watchTokens({});
  await watch[Symbol.asyncIterator]().next();
  expect(await callsUnderWay()).toBe(0);
});

test('a call whose client goes while its credentials are judged is not counted for ever', async () => {
  const { plaintext } = await world.issue('staff-a');
  const misses = () => world.server.metric('keyward_cache_misses_total');
  const before = await misses();
  const unlock = await lockDigests(world.database.url);
  const session = connect(`http://${world.server.address}`);
  session.on('error', () => undefined);
  onTestFinished(() => {
    session.destroy();
  });
  const headers = {
    ':method': 'POST',
    ':path': VALIDATE,
    'content-type': 'application/grpc',
    authorization: `Bearer ${plaintext}`,
  };
  const stream = session.request(headers);
  stream.on('error', () => undefined).end(messageFor(caller));
  await expect.poll(misses, PATIENCE).toBeGreaterThan(before);
  stream.close(constants.NGHTTP2_CANCEL);
  await once(stream, 'close');
  const next = session.request(headers);
  next
    .on('error', () => undefined)
    .resume()
    .end(messageFor(caller));
  await unlock();
  // It waits for the same query, and is answered after the one before has been let in.
  await once(next, 'close');
  await expect.poll(callsUnderWay, PATIENCE).toBe(0);
});
