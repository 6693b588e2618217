import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test, vi, type MockInstance } from 'vitest';
import {
  BatchValidateTokensRequest,
  ValidateTokenRequest,
} from '../../../src/gen/keyward/token/v1/token_service.js';
import { MessageSender } from '../../../src/rpc/front-door/response.js';
import { extent } from '../../support/extent.js';
import { answerTo, type Field, type RawRequest } from '../../support/raw-frames.js';
import { framed } from '../../support/raw-http2.js';
import { byId } from '../../support/requests.js';
import type { TestServer } from '../../support/server.js';
import { World } from '../../support/world.js';

const REQUESTS = extent('LANE_REQUESTS', 100, 5_000);
/** The time of day is in an answer, to the second, which may end between two of them. */
const ATTEMPTS = 4;
const SERVICE = '/keyward.token.v1.TokenService';
const VALIDATE = `${SERVICE}/ValidateToken`;
const BATCH = `${SERVICE}/BatchValidateTokens`;

let world: World;
let withLane: TestServer;
let without: TestServer;
let callers: string[];
let texts: string[];
let sends: MockInstance<MessageSender['send']>;

beforeAll(async () => {
  // Where each call is logged, none is on the lane.
  const quiet = { KEYWARD_LOG_LEVEL: 'info' };
  world = await World.create(quiet);
  withLane = await world.startServer({ ...quiet, KEYWARD_FAST_LANE: 'true' });
  without = await world.startServer({ ...quiet, KEYWARD_FAST_LANE: 'false' });
  const plain = await world.issue('staff-a');
  const scoped = await world.issue('staff-a', { scopes: ['keyward.tokens.validate'] });
  const powerless = await world.issue('staff-a', { scopes: ['orders.read'] });
  const gone = await world.issue('staff-a');
  await world.admin.tokens.deactivateToken({ selector: byId(gone) });
  const known = [plain, scoped, powerless, gone].map(({ plaintext }) => plaintext);
  texts = [...known, 'nobody', '', 'x'.repeat(1_100)];
  callers = [
    ...known.flatMap((token) => [`Bearer ${token}`, `  token  ${token} `]),
    `Bearer ${plain.plaintext} ${plain.plaintext}`,
    'Bearer nobody',
    `Basic ${plain.plaintext}`,
    `Bearer \u00e4${plain.plaintext}`,
    '',
  ];
});

beforeEach(() => {
  sends = vi.spyOn(MessageSender.prototype, 'send');
});

afterAll(() => world.close());

const portOf = ({ address }: TestServer): number => Number(address.split(':').at(-1));

/** differences are the answers of both servers to a request, if they are not the same. */
async function differences(request: RawRequest): Promise<readonly string[][]> {
  let answers: string[][] = [];
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    answers = await Promise.all([withLane, without].map((server) => answerTo(portOf(server), request)));
    if (answers[0]?.join() === answers[1]?.join()) return [];
  }
  return answers;
}

const headersOf = (path: string, authorization: string, ...more: Field[]): Field[] => [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'keyward'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
  ['authorization', authorization],
  ...more,
];

const validation = (token: string, requiredScopes: string[] = []): Buffer =>
  framed(Buffer.from(ValidateTokenRequest.encode({ token, requiredScopes }).finish()));

const batch = (...tokens: string[]): Buffer =>
  framed(
    Buffer.from(
      BatchValidateTokensRequest.encode({
        requests: tokens.map((token) => ({ token, requiredScopes: [] })),
      }).finish(),
    ),
  );

/** Where the frequent forms stand first, most requests are such that memory answers them. */
function requests(): fc.Arbitrary<RawRequest> {
  const text = fc.constantFrom(...texts);
  const usual = <T>(common: T, ...others: T[]): fc.Arbitrary<T> =>
    fc.oneof(
      { weight: 8, arbitrary: fc.constant(common) },
      { weight: 2, arbitrary: fc.constantFrom(...others) },
    );
  const scopes = fc.array(fc.constantFrom('orders.read', 'keyward.*', '*', 'No Scope', ''), { maxLength: 3 });
  const body = fc.oneof(
    { weight: 6, arbitrary: text.map((token) => validation(token)) },
    { weight: 2, arbitrary: fc.tuple(text, scopes).map(([token, needed]) => validation(token, needed)) },
    { weight: 3, arbitrary: fc.array(text, { maxLength: 4 }).map((tokens) => batch(...tokens)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => framed(Buffer.from(bytes))) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)) },
    // A field that nobody knows, and a text that is not UTF-8.
    { weight: 1, arbitrary: text.map((token) => withMore(validation(token), [0xf8, 0x01, 0x05])) },
    { weight: 1, arbitrary: fc.constant(framed(Buffer.from([0x0a, 0x02, 0xff, 0xfe]))) },
  );
  const bent = fc
    .tuple(body, fc.constantFrom('cut', 'twice', 'marked', 'gzip', 'longer'))
    .map(([bytes, how]) => {
      if (how === 'cut') return bytes.subarray(0, -1);
      if (how === 'twice') return Buffer.concat([bytes, bytes]);
      if (how === 'longer') return Buffer.concat([bytes, Buffer.from([0])]);
      const frame = how === 'gzip' ? framed(gzipSync(bytes.subarray(5))) : Buffer.from(bytes);
      if (frame.length > 0) frame[0] = 1;
      return frame;
    });
  const extra = fc.array(
    fc.constantFrom<Field>(
      ['grpc-timeout', '5S'],
      ['grpc-timeout', '1n'],
      ['grpc-timeout', '0S'],
      ['grpc-timeout', 'soon'],
      ['grpc-timeout', '99999999H'],
      ['grpc-encoding', 'gzip'],
      ['grpc-encoding', 'identity'],
      ['grpc-encoding', 'br'],
      ['grpc-accept-encoding', 'identity,deflate,gzip'],
      ['user-agent', 'anybody'],
      ['x-bin', 'AAEC'],
      ['x-bin', '!'],
      ['x-text', 'with a \ttab'],
      ['authorization', 'Bearer another'],
      ['Authorization', 'Bearer another'],
      ['connection', 'close'],
      ['content-length', '3'],
      ['cookie', 'a=b'],
    ),
    { minLength: 1, maxLength: 2 },
  );
  const change = usual<Field | undefined>(
    undefined,
    [':method', 'GET'],
    [':method', 'HEAD'],
    [':method', 'PUT'],
    [':path', `${SERVICE}/Nothing`],
    [':path', `${VALIDATE}?x=1`],
    ['content-type', 'application/grpc+proto'],
    ['content-type', 'application/json'],
    ['te', 'gzip'],
  );
  const fields = fc
    .record({
      path: fc.constantFrom(VALIDATE, VALIDATE, VALIDATE, BATCH),
      caller: fc.oneof(fc.constantFrom(callers[0] ?? ''), fc.constantFrom(...callers)),
      extra: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, extra),
      change,
      isReversed: fc.boolean(),
    })
    .map(({ path, caller, extra: more, change: other, isReversed }) => {
      const all = headersOf(path, caller, ...more);
      const changed = all.map((field): Field =>
        other !== undefined && field[0] === other[0] ? other : field,
      );
      return isReversed ? [...changed.slice(0, 4).reverse(), ...changed.slice(4).reverse()] : changed;
    });
  const pieces = fc
    .tuple(
      fc.oneof({ weight: 4, arbitrary: body }, { weight: 1, arbitrary: bent }),
      usual([], [0], [3], [7], [2, 2, 40]),
    )
    .map(([bytes, cuts]) => piecesOf(bytes, cuts));
  const end = usual<RawRequest['end']>('at once', 'apart', 'later', 'reset');
  return fc.record({ fields, pieces, end });
}

function withMore(frame: Buffer, bytes: readonly number[]): Buffer {
  return framed(Buffer.concat([frame.subarray(5), Buffer.from(bytes)]));
}

function piecesOf(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const cut of cuts) {
    pieces.push(bytes.subarray(at, at + cut));
    at += cut;
  }
  return [...pieces, bytes.subarray(at)];
}

const told = (request: RawRequest): string => JSON.stringify(request);

test('with the fast lane and without it, every answer is the same to the byte', async () => {
  await fc.assert(
    fc.asyncProperty(requests(), async (request) => {
      expect(await differences(request), told(request)).toEqual([]);
    }),
    { numRuns: REQUESTS },
  );
  expect(sends.mock.calls.length).toBeGreaterThan(REQUESTS / 20);
});

test.each<[string, Partial<RawRequest> & { readonly changed?: Field; readonly added?: Field }]>([
  ['a method that is not POST', { changed: [':method', 'PUT'] }],
  ['a deadline that is none', { added: ['grpc-timeout', 'soon'] }],
  ['a deadline that has passed', { added: ['grpc-timeout', '1n'] }],
  ['an end that comes by itself', { end: 'apart' }],
  ['an end that comes later', { end: 'later' }],
  ['another type of content', { changed: ['content-type', 'application/json'] }],
])('a call that is plain but for %s is answered alike', async (_, { changed, added, end = 'at once' }) => {
  const plain = headersOf(VALIDATE, callers[0] ?? '', ...(added === undefined ? [] : [added]));
  const fields = plain.map((field) => (field[0] === changed?.[0] ? changed : field));
  expect(await differences({ fields, pieces: [validation(texts[0] ?? '')], end })).toEqual([]);
});

test.each([
  ['ValidateToken', VALIDATE, () => validation(texts[0] ?? '')],
  ['BatchValidateTokens', BATCH, () => batch(texts[0] ?? '', 'nobody')],
])('the lane answers %s of a caller in memory, and its setting closes it', async (_, path, body) => {
  const request = { fields: headersOf(path, callers[0] ?? ''), pieces: [body()], end: 'at once' } as const;
  await answerTo(portOf(without), request);
  expect(sends).not.toHaveBeenCalled();
  await answerTo(portOf(withLane), request);
  sends.mockClear();
  await answerTo(portOf(withLane), request);
  expect(sends).toHaveBeenCalledTimes(1);
});

test('a call on the lane whose end is long in coming is the library’s, which keeps its deadline', async () => {
  const fields = headersOf(VALIDATE, callers[0] ?? '', ['grpc-timeout', '150m']);
  const request = { fields, pieces: [validation(texts[0] ?? '')], end: 'never' } as const;
  expect(await differences(request)).toEqual([]);
});
