import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import { deflateSync, gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { registerCanary } from '../../support/canaries.js';
import { framed, RawHttp2, type RawAnswer } from '../../support/raw-http2.js';
import { byId } from '../../support/requests.js';
import { encodeRequest, isWatch, METHOD_NAMES, pathOf, type MethodName } from '../../support/rpc.js';
import { newValue, textOf, World } from '../../support/world.js';

/** Bodies that nobody sends to their end: everything here is answered before that. */

const LIMIT_MS = 10_000;
const VALIDATE = pathOf('validateToken');
const HEALTH = '/grpc.health.v1.Health/Check';

let world: World;
const opened: RawHttp2[] = [];

beforeAll(async () => {
  world = await World.create({ KEYWARD_REQUEST_TIMEOUT_SECONDS: '1' });
});

afterEach(() => {
  for (const wire of opened.splice(0)) wire.close();
});

afterAll(() => world.close());

async function open(): Promise<RawHttp2> {
  const wire = await RawHttp2.open(Number(world.server.address.split(':')[1]));
  opened.push(wire);
  return wire;
}

function admin(): { readonly authorization: string } {
  return { authorization: `Bearer ${world.adminToken}` };
}

/** announcing is the beginning of a message that is said to be that long. */
function announcing(bytes: number, compressed = 0): Buffer {
  const frame = Buffer.alloc(6);
  frame[0] = compressed;
  frame.writeUInt32BE(bytes, 1);
  return frame;
}

async function unfinished(path: string, headers: Record<string, string>, body: Buffer): Promise<RawAnswer> {
  const call = (await open()).begin(path, headers, LIMIT_MS);
  if (body.length > 0) call.write(body);
  return call.answer;
}

function ofReason(reason: string): unknown {
  return expect.objectContaining({ received: expect.toSatisfy((b: Buffer) => b.includes(reason)) as Buffer });
}

/** answersIn counts the verdicts on the admin's token: each names them twice. */
function answersIn({ received }: RawAnswer): number {
  return (received.toString('latin1').split('admin').length - 1) / 2;
}

/** withoutDate is all that a refusal says, but the time. */
function withoutDate({ received }: RawAnswer): string {
  return received.toString('latin1').replace(/^date: .*$/m, '');
}

describe('before anything of the body is read', () => {
  test.each(METHOD_NAMES)('%s refuses credentials', async (method) => {
    const answer = await unfinished(
      pathOf(method),
      { authorization: 'Bearer nobody' },
      announcing(4_000_000),
    );
    expect(answer).toMatchObject({
      code: 'UNAUTHENTICATED',
      message: 'Valid%20credentials%20are%20required.',
    });
  });

  test('every cause of a refusal has the same answer, whether the request is whole or is not', async () => {
    const whole = framed(encodeRequest('validateToken', { token: 'x' }));
    const answers = new Set<string>();
    for (const authorization of [
      undefined,
      'Bearer nobody',
      `Basic ${world.adminToken}`,
      'Bearer',
      '\u00e9',
    ]) {
      const headers = authorization === undefined ? {} : { authorization };
      answers.add(withoutDate(await (await open()).call(VALIDATE, whole, headers, LIMIT_MS)));
      answers.add(withoutDate(await unfinished(VALIDATE, headers, announcing(100))));
      answers.add(withoutDate(await unfinished(VALIDATE, headers, Buffer.alloc(0))));
    }
    expect(answers.size).toBe(1);
  });

  test('a refusal is counted once as a call, and once for the audit log', async () => {
    const handled = () => world.server.metric('keyward_grpc_server_handled_total');
    const before = await handled();
    await unfinished(VALIDATE, { authorization: 'Bearer nobody' }, announcing(100));
    expect(await handled()).toBe(before + 1);
  });

  test('a token that is not remembered is asked for once', async () => {
    const { plaintext } = await world.issue('owner-a');
    const misses = () => world.server.metric('keyward_cache_misses_total');
    const before = await misses();
    const body = framed(encodeRequest('getToken', { token: byId({ id: 1_234_567n }) }));
    const headers = { authorization: `Bearer ${plaintext}` };
    expect(await (await open()).call(pathOf('getToken'), body, headers, LIMIT_MS)).toMatchObject({
      code: 'NOT_FOUND',
    });
    expect(await misses()).toBe(before + 1);
  });
});

test('a token that is revoked while the request is still coming is refused', async () => {
  const { id, plaintext } = await world.issue('owner-a');
  const headers = { authorization: `Bearer ${plaintext}` };
  const wire = await open();
  const body = framed(encodeRequest('validateToken', { token: world.adminToken }));
  expect(await wire.call(VALIDATE, body, headers, LIMIT_MS)).toMatchObject({ code: 'OK' });
  const call = wire.begin(VALIDATE, headers, LIMIT_MS);
  call.write(body.subarray(0, 10));
  // Streams of a connection are begun in their order: this one has been let in when another is answered.
  expect(await wire.call(VALIDATE, body, headers, LIMIT_MS)).toMatchObject({ code: 'OK' });
  await world.admin.tokens.revokeToken({ selector: byId({ id }) });
  call.end(body.subarray(10));
  expect(await call.answer).toMatchObject({ code: 'UNAUTHENTICATED' });
});

describe('the limit of a request', () => {
  /** All others take no more than this. */
  const KILOBYTES = 512 * 1024;
  const LARGER: readonly MethodName[] = [
    'batchValidateTokens',
    'holdVerdicts',
    'applyManifest',
    'createToken',
    'updateToken',
    'createSecret',
    'updateSecret',
    'createAccount',
    'updateAccount',
    'createUserProfile',
    'updateUserProfile',
  ];

  test.each(METHOD_NAMES)('%s refuses more when the length is announced', async (method) => {
    const most = LARGER.includes(method) ? 4 * 1024 * 1024 : KILOBYTES;
    const answer = await unfinished(pathOf(method), admin(), announcing(most + 1));
    expect(answer).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(answer).toEqual(ofReason('REQUEST_TOO_LARGE'));
  });

  test('health and reflection take a few kilobytes of anybody', async () => {
    for (const path of [HEALTH, '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo']) {
      expect(await unfinished(path, {}, announcing(5_000))).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    }
  });

  test('the largest requests that the API describes fit', async () => {
    const texts = (count: number, length: number) =>
      Array.from({ length: count }, (_, index) =>
        `${index}`.padEnd(length * 2, '😀').slice(0, length * 2 - 2),
      );
    const annotations = new Map(texts(64, 253).map((key) => [key, '😀'.repeat(4096)]));
    const description = { description: '😀'.repeat(10_000), tags: texts(64, 100), annotations };
    const payload = textOf(newValue().padEnd(65_536, 'x'));
    const { secrets, tokens } = world.client(world.tokenOf('owner-a'));
    const made = await secrets.createSecret({ ...description, name: world.newName(), payload });
    expect(made.secret?.annotations.size).toBe(64);
    const requests = texts(1000, 450).map((token) => ({ token }));
    expect((await tokens.batchValidateTokens({ requests })).responses).toHaveLength(1000);
  });

  test('one caller holds no more than a few megabytes in requests that are not complete', async () => {
    const piece = Buffer.concat([announcing(4_000_000), Buffer.alloc(1_000_000)]);
    const answers = Array.from({ length: 30 }, () =>
      unfinished(pathOf('batchValidateTokens'), admin(), piece),
    );
    const codes = (await Promise.all(answers)).map(({ code }) => code);
    expect(codes.filter((code) => code === 'RESOURCE_EXHAUSTED').length).toBeGreaterThan(10);
    expect(codes.filter((code) => code === 'DEADLINE_EXCEEDED').length).toBeGreaterThan(2);
    expect(new Set(codes).size).toBe(2);
  });
});

describe('a request that is not complete in time ends in DEADLINE_EXCEEDED', () => {
  test('of every method', async () => {
    const methods = METHOD_NAMES.filter((method) => method !== 'streamValidateTokens');
    const answers = methods.map((method) => unfinished(pathOf(method), admin(), announcing(100)));
    for (const answer of await Promise.all(answers)) {
      expect(answer).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      expect(answer).toEqual(ofReason('REQUEST_TIMEOUT'));
    }
  });

  test('without a single byte, and without its end, and then the connection is closed', async () => {
    // Memory does not know it, or would have answered at once.
    const whole = framed(encodeRequest('validateToken', { token: newValue() }));
    for (const body of [Buffer.alloc(0), whole.subarray(0, 3), whole]) {
      expect(await unfinished(VALIDATE, admin(), body)).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    }
    expect(await unfinished(HEALTH, {}, announcing(100))).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(opened.map((wire) => wire.isOpen)).toEqual([false, false, false, false]);
  });

  test('a message of a conversation, which may be silent between messages', async () => {
    const wire = await open();
    const call = wire.begin(pathOf('streamValidateTokens'), admin(), LIMIT_MS);
    const message = framed(encodeRequest('streamValidateTokens', { token: world.adminToken }));
    call.write(message);
    // Others come and go meanwhile, for longer than a message may take.
    const silent = await unfinished(VALIDATE, admin(), Buffer.alloc(0));
    expect(silent).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    call.write(Buffer.concat([message, message.subarray(0, 10)]));
    const answer = await call.answer;
    expect(answer).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(answersIn(answer)).toBe(2);
  });
});

describe('a conversation', () => {
  const STREAM = pathOf('streamValidateTokens');
  const message = () => framed(encodeRequest('streamValidateTokens', { token: world.adminToken }));

  test('answers messages however they are cut', async () => {
    const messages = Buffer.concat(Array.from({ length: 5 }, message));
    for (const size of [1, 7, message().length - 1, message().length + 1]) {
      const call = (await open()).begin(STREAM, admin(), LIMIT_MS);
      for (let at = 0; at < messages.length; at += size) call.write(messages.subarray(at, at + size));
      call.end(Buffer.alloc(0));
      const answer = await call.answer;
      expect([answer.code, answersIn(answer)], `${size}`).toEqual(['OK', 5]);
    }
  });

  test('ends with a message that is too large', async () => {
    const call = (await open()).begin(STREAM, admin(), LIMIT_MS);
    call.write(Buffer.concat([message(), message(), announcing(1_000_000)]));
    expect(await call.answer).toEqual(ofReason('REQUEST_TOO_LARGE'));
  });
});

describe('a compressed message', () => {
  const compressed = (bytes: Buffer): Buffer => {
    const frame = framed(bytes);
    frame[0] = 1;
    return frame;
  };
  const send = async (method: MethodName, body: Buffer, encoding: string) =>
    (await open()).call(pathOf(method), body, { ...admin(), 'grpc-encoding': encoding }, LIMIT_MS);

  test('is read', async () => {
    for (const method of ['validateToken', 'streamValidateTokens'] as const) {
      const message = encodeRequest(method, { token: world.adminToken });
      for (const [encoding, body] of [
        ['gzip', gzipSync(message)],
        ['deflate', deflateSync(message)],
      ] as const) {
        const { code, received } = await send(method, compressed(body), encoding);
        expect([code, received.includes('admin')], `${method} ${encoding}`).toEqual(['OK', true]);
      }
    }
  });

  test('is not inflated beyond the limit of its method', async () => {
    for (const method of METHOD_NAMES.filter((name) => !isWatch(name))) {
      const answer = await send(method, compressed(gzipSync(Buffer.alloc(5_000_000))), 'gzip');
      expect(answer, method).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    }
  });

  test('that cannot be read is INVALID_ARGUMENT, and in an unknown encoding UNIMPLEMENTED', async () => {
    for (const method of ['validateToken', 'streamValidateTokens'] as const) {
      expect(await send(method, compressed(Buffer.from('none')), 'gzip')).toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
      expect(await send(method, compressed(Buffer.from('none')), 'br')).toMatchObject({
        code: 'UNIMPLEMENTED',
      });
    }
  });
});

test('two messages where one is taken are refused', async () => {
  const message = framed(encodeRequest('validateToken', { token: registerCanary('x'.repeat(64)) }));
  const answer = await (await open()).call(VALIDATE, Buffer.concat([message, message]), admin(), LIMIT_MS);
  expect(answer).toMatchObject({ code: 'INVALID_ARGUMENT' });
});

describe('what strangers hold by headers', () => {
  const WATCH_HEALTH = '/grpc.health.v1.Health/Watch';
  const LARGE = { 'x-large': 'a'.repeat(10_000) };
  const nothing = framed(Buffer.alloc(0));

  test('is limited for all calls to open methods of a connection together, and free again when they end', async () => {
    const wire = await open();
    const unfinishedOnes = Array.from({ length: 6 }, () => wire.begin(HEALTH, LARGE, LIMIT_MS));
    const tooMuch = await wire.call(HEALTH, nothing, LARGE, LIMIT_MS);
    expect(tooMuch).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(tooMuch).toEqual(ofReason('REQUEST_TOO_LARGE'));
    for (const each of unfinishedOnes) each.end(nothing);
    for (const each of unfinishedOnes) expect(await each.answer).toMatchObject({ code: 'OK' });
    expect(await wire.call(HEALTH, nothing, LARGE, LIMIT_MS)).toMatchObject({ code: 'OK' });
  });

  test('a connection without credentials has few watches of health, and one with them as many as before', async () => {
    const firstAnswer = async (headers: Record<string, string>): Promise<string> => {
      const wire = await open();
      await wire.call(VALIDATE, framed(encodeRequest('validateToken', { token: 'x' })), headers, LIMIT_MS);
      const watches = Array.from({ length: 20 }, () => {
        const call = wire.begin(WATCH_HEALTH, {}, LIMIT_MS);
        call.end(nothing);
        return call.answer;
      });
      // Streams of a connection are begun in their order.
      const { code } = await Promise.race([...watches, wire.call(HEALTH, nothing, {}, LIMIT_MS)]);
      return code;
    };
    expect(await firstAnswer({})).toBe('RESOURCE_EXHAUSTED');
    expect(await firstAnswer(admin())).toBe('OK');
  });

  test('a call that the library refuses by its headers is over, though the client has not ended it', async () => {
    const address = `http://${world.server.address}`;
    const session = connect(address).on('error', () => undefined);
    for (const [path, type] of [
      ['/no.such.Service/Method', 'application/grpc'],
      [VALIDATE, 'text/plain'],
    ]) {
      const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': type });
      await once(stream.on('error', () => undefined).resume(), 'close');
      expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
    }
    session.destroy();
  });
});
