import { Client, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { toCallError } from '@keyward/client/transport';
import { channelArguments } from '../../support/channel-arguments.js';
import {
  KeywardCallError,
  VerdictReason,
  type KeywardClient,
  type StreamValidateTokensResponse,
} from '../../../src/client/index.js';
import { byId } from '../../support/requests.js';
import { encodeRequest, pathOf, type RequestOf } from '../../support/rpc.js';
import { startTestServer } from '../../support/server.js';
import { existing, World } from '../../support/world.js';

type Request = RequestOf<'streamValidateTokens'>;

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

/** Talk is a conversation in which a test sends and receives by turns. */
class Talk {
  readonly #answers: AsyncIterator<StreamValidateTokensResponse>;
  readonly #waiting: Request[] = [];
  #isEnded = false;
  #wake: () => void = () => undefined;

  constructor(client: KeywardClient) {
    this.#answers = client.tokens.streamValidateTokens(this.#requests())[Symbol.asyncIterator]();
  }

  async ask(request: Request): Promise<StreamValidateTokensResponse> {
    this.#waiting.push(request);
    this.#wake();
    const next = await this.#answers.next();
    if (next.done === true) throw new Error('the conversation has ended');
    return next.value;
  }

  /** end ends the client's side; true if the service then ends as well, without another answer. */
  async end(): Promise<boolean> {
    this.#isEnded = true;
    this.#wake();
    return (await this.#answers.next()).done === true;
  }

  async *#requests(): AsyncGenerator<Request> {
    while (!this.#isEnded || this.#waiting.length > 0) {
      const request = this.#waiting.shift();
      if (request !== undefined) yield request;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

async function* each(requests: readonly Request[]): AsyncGenerator<Request> {
  for (const request of requests) yield await Promise.resolve(request);
}

async function answersTo(
  requests: readonly Request[],
  client = world.admin,
): Promise<StreamValidateTokensResponse[]> {
  const answers: StreamValidateTokensResponse[] = [];
  for await (const answer of client.tokens.streamValidateTokens(each(requests))) answers.push(answer);
  return answers;
}

/** failureOf is the code and reason that something fails with. */
async function failureOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'OK';
  } catch (error) {
    if (!(error instanceof KeywardCallError)) throw error;
    return `${error.codeName} ${error.reason}`;
  }
}

test('thousands of texts, remembered and not, are answered in their order, each as ValidateToken would', async () => {
  const tokens = await Promise.all(Array.from({ length: 30 }, () => world.issue('owner-a')));
  const off = await world.issue('owner-a', { isActive: false });
  const kinds: Request[] = [
    ...tokens.map(({ plaintext }) => ({ token: plaintext })),
    { token: off.plaintext },
    { token: existing(tokens[0]).plaintext, requiredScopes: ['some.scope'] },
    { token: 'ü'.repeat(600) },
    { token: '' },
  ];
  const requests = Array.from({ length: 4_000 }, (_, index): Request =>
    index % 5 === 0 ? { token: `unknown-${index}` } : existing(kinds[(index * 13) % kinds.length]),
  );
  const answers = await answersTo(requests);
  expect(answers).toHaveLength(requests.length);
  const expected = new Map<string, unknown>();
  for (const [index, request] of requests.entries()) {
    const key = JSON.stringify(request);
    if (!expected.has(key)) expected.set(key, await world.admin.tokens.validateToken(request));
    expect(answers[index]).toEqual(expected.get(key));
  }
});

test('a conversation without a request, or long after the last, ends when the client has ended it', async () => {
  expect(await answersTo([])).toEqual([]);
  const talk = new Talk(world.admin);
  expect((await talk.ask({ token: 'nobody' })).reason).toBe(VerdictReason.VERDICT_REASON_UNKNOWN);
  expect(await talk.end()).toBe(true);
});

test('a verdict that changes between two requests is the new one in the second answer', async () => {
  const token = await world.issue('owner-a');
  const talk = new Talk(world.admin);
  expect((await talk.ask({ token: token.plaintext })).valid).toBe(true);
  await world.admin.tokens.deactivateToken({ selector: byId(token) });
  expect((await talk.ask({ token: token.plaintext })).valid).toBe(false);
  expect(await talk.end()).toBe(true);
});

test('a caller whose credentials cease to be valid, or lose the scope, gets no further answer', async () => {
  const [revoked, narrowed, expiring] = [
    await world.issue('owner-a'),
    await world.issue('owner-a'),
    await world.issue('owner-a', { expiry: { $case: 'ttl', value: { seconds: 60n, nanos: 0 } } }),
  ];
  const talks = [revoked, narrowed, expiring].map(({ plaintext }) => new Talk(world.client(plaintext)));
  const [first, second, third] = talks.map((talk) => () => talk.ask({ token: world.adminToken }));
  for (const ask of [first, second, third]) expect((await existing(ask)()).valid).toBe(true);
  await world.admin.tokens.revokeToken({ selector: byId(revoked) });
  expect(await failureOf(existing(first)())).toBe('UNAUTHENTICATED CREDENTIALS_REFUSED');
  await world.admin.tokens.updateToken({
    selector: byId(narrowed),
    token: { scopes: ['keyward.tokens.read'] },
    updateMask: ['scopes'],
  });
  expect(await failureOf(existing(second)())).toBe('PERMISSION_DENIED SCOPE_MISSING');
  world.clock.advance(60_001);
  expect(await failureOf(existing(third)())).toBe('UNAUTHENTICATED CREDENTIALS_REFUSED');
});

test('what is no request, or breaks a rule, ends it after the answers to those before', async () => {
  const good = encodeRequest('streamValidateTokens', { token: 'nobody' });
  const cases: [Buffer, string, string][] = [
    [Buffer.from([0x0a, 0x05, 0x61]), 'INVALID_ARGUMENT', 'MALFORMED_REQUEST'],
    [
      encodeRequest('streamValidateTokens', { requiredScopes: ['Bad one'] }),
      'INVALID_ARGUMENT',
      'INVALID_FIELDS',
    ],
  ];
  for (const [bad, code, reason] of cases) {
    const outcome = await raw([good, good, bad, good]);
    expect(outcome).toEqual({ answers: 2, code, reason });
  }
});

test('requests that fail on the side of the client end the call, and are what the client is told', async () => {
  async function* failing(): AsyncGenerator<Request> {
    yield await Promise.resolve({ token: 'nobody' });
    throw new Error('no more requests');
  }
  const consume = async () => {
    for await (const _ of world.admin.tokens.streamValidateTokens(failing()));
  };
  await expect(consume()).rejects.toThrow('no more requests');
});

test('a service that stops does not wait for a conversation without an end, and says so', async () => {
  const server = await startTestServer({
    databaseUrl: world.database.url,
    clock: world.clock,
    env: { KEYWARD_SHUTDOWN_SECONDS: '60' },
  });
  const talk = new Talk(world.client(world.adminToken, server));
  await talk.ask({ token: 'nobody' });
  const stopped = server.stop();
  expect(await failureOf(talk.end())).toBe('UNAVAILABLE STOPPING');
  await stopped;
});

/** raw sends bytes as they are, and gives the number of answers, and how the call ended. */
async function raw(messages: readonly Buffer[]): Promise<{ answers: number; code: string; reason: string }> {
  const client = new Client(...channelArguments({ server: world.server.address }));
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${world.adminToken}`);
  const same = (value: Buffer): Buffer => value;
  const call = client.makeBidiStreamRequest(pathOf('streamValidateTokens'), same, same, metadata);
  for (const message of messages) call.write(message);
  let answers = 0;
  call.on('data', () => (answers += 1));
  const error = await new Promise<ServiceError>((resolve) => call.on('error', resolve));
  client.close();
  return { answers, code: status[error.code], reason: toCallError(error).reason };
}
