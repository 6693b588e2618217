import { connect } from 'node:http2';
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RawHttp2, framed, type RawAnswer } from '../../support/raw-http2.js';
import { encodeRequest, pathOf, type MethodName } from '../../support/rpc.js';
import { World } from '../../support/world.js';

/** Calls that memory answers are answered before the library hears of them; one that is compressed never is. */

const LIMIT_MS = 20_000;
const HANDLED = 'keyward_grpc_server_handled_total';

let world: World;
let wire: RawHttp2;

beforeAll(async () => {
  world = await World.create({ KEYWARD_LOG_LEVEL: 'info' });
  wire = await RawHttp2.open(Number(world.server.address.split(':')[1]));
});

afterAll(async () => {
  wire.close();
  await world.close();
});

function admin(): { readonly authorization: string } {
  return { authorization: `Bearer ${world.adminToken}` };
}

/** requests are one of each method that memory answers, on a token that passes and on one that nobody has. */
function requests(): [MethodName, Buffer][] {
  const presented = [{ token: world.adminToken }, { token: 'nobody', requiredScopes: ['a'] }];
  return [
    ...presented.map((one): [MethodName, Buffer] => ['validateToken', encodeRequest('validateToken', one)]),
    ['batchValidateTokens', encodeRequest('batchValidateTokens', { requests: presented })],
  ];
}

function compressed(message: Buffer): Buffer {
  const frame = framed(gzipSync(message));
  frame[0] = 1;
  return frame;
}

/** withoutDate is all that came, but the time. */
function withoutDate({ code, message, received }: RawAnswer): string {
  return `${code} ${message} ${received.toString('latin1').replace(/^date: .*$/m, '')}`;
}

test('an answer from memory has the headers, the message and the trailers of the library', async () => {
  for (const [method, message] of requests()) {
    const through = await wire.call(
      pathOf(method),
      compressed(message),
      { ...admin(), 'grpc-encoding': 'gzip' },
      LIMIT_MS,
    );
    const atOnce = await wire.call(pathOf(method), framed(message), admin(), LIMIT_MS);
    expect(atOnce.code).toBe('OK');
    expect(withoutDate(atOnce)).toBe(withoutDate(through));
  }
});

test('a message is answered however it is cut', async () => {
  for (const [method, message] of requests()) {
    const frame = framed(message);
    const whole = withoutDate(await wire.call(pathOf(method), frame, admin(), LIMIT_MS));
    for (const size of [1, 5, frame.length - 1]) {
      const call = wire.begin(pathOf(method), admin(), LIMIT_MS);
      for (let at = 0; at < frame.length; at += size) call.write(frame.subarray(at, at + size));
      call.end(Buffer.alloc(0));
      expect(withoutDate(await call.answer)).toBe(whole);
    }
  }
});

test('every answer is counted once', async () => {
  const before = await world.server.metric(HANDLED);
  for (const [method, message] of requests()) {
    await wire.call(pathOf(method), framed(message), admin(), LIMIT_MS);
  }
  expect(await world.server.metric(HANDLED)).toBe(before + requests().length);
});

test('bytes that are no message are refused as ever, and a caller without the scope is', async () => {
  const refused = await wire.call(pathOf('validateToken'), framed(Buffer.from([10, 200])), admin(), LIMIT_MS);
  expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT' });
  const { plaintext } = await world.issue('owner-a', { scopes: ['other'] });
  const message = framed(encodeRequest('validateToken', { token: world.adminToken }));
  const headers = { authorization: `Bearer ${plaintext}` };
  for (let times = 0; times < 3; times += 1) {
    expect(await wire.call(pathOf('validateToken'), message, headers, LIMIT_MS)).toMatchObject({
      code: 'PERMISSION_DENIED',
    });
  }
});

test('clients that go, or take nothing of their answers, disturb nobody', async () => {
  const message = framed(encodeRequest('validateToken', { token: world.adminToken }));
  const session = connect(`http://${world.server.address}`, { settings: { initialWindowSize: 0 } });
  session.on('error', () => undefined);
  await once(session, 'connect');
  const before = await world.server.metric(HANDLED);
  const streams = Array.from({ length: 50 }, () => {
    const stream = session.request({
      ':method': 'POST',
      ':path': pathOf('validateToken'),
      'content-type': 'application/grpc',
      ...admin(),
    });
    stream.on('error', () => undefined).end(message);
    return stream;
  });
  for (const stream of streams.slice(0, 25)) stream.once('response', () => stream.close());
  await expect.poll(() => world.server.metric(HANDLED), { timeout: LIMIT_MS }).toBe(before + 50);
  session.destroy();
  expect(await wire.call(pathOf('validateToken'), message, admin(), LIMIT_MS)).toMatchObject({ code: 'OK' });
});
