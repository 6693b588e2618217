import { once } from 'node:events';
import http2 from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import {
  connect,
  type KeywardClient,
  type RotateEncryptionKeyRequest,
  type RotateEncryptionKeyResponse,
} from '../../../src/client/index.js';
import { VerdictCache } from '../../../src/token/verdict-cache.js';
import { SecretServiceService } from '../../../src/gen/keyward/secret/v1/secret_service.js';
import { KeywardError } from '../../../src/lib/errors.js';
import { CredentialsAuthenticator } from '../../../src/authn/authenticator.js';
import { CallerLimits } from '../../../src/rpc/caller-limits.js';
import { CertificateCallers, CertificateUsers } from '../../../src/authn/certificate-callers.js';
import { drain, listen, newGrpcServer, serverCredentials } from '../../../src/rpc/grpc-server.js';
import type { StreamHandler } from '../../../src/rpc/handlers.js';
import { addService } from '../../../src/rpc/service.js';
import { loadConfig } from '../../../src/config.js';
import { digestOf } from '../../../src/crypto/digest.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { UsageRecorder } from '../../../src/token/usage-recorder.js';
import { encodeValid } from '../../../src/token/validate-codec.js';
import { VerdictRecord, type VerdictFacts } from '../../../src/token/verdict.js';
import { Verdicts } from '../../../src/token/verdicts.js';
import { collectLog } from '../../support/log-lines.js';
import { ManualClock } from '../../support/manual-clock.js';
import { framed } from '../../support/raw-http2.js';
import { Peer } from '../../support/rpc.js';
import { underLease } from '../../support/single-replica.js';
import { ANY_OWNER } from '../../support/verdict-facts.js';

type Stream = (
  ...args: Parameters<StreamHandler<RotateEncryptionKeyRequest, RotateEncryptionKeyResponse>['stream']>
) => AsyncIterable<RotateEncryptionKeyResponse>;

const TOKEN = 'a'.repeat(64);
const OTHER_TOKEN = 'b'.repeat(64);
const SCOPES: Readonly<Record<string, string>> = {
  [digestOf(TOKEN)]: 'keyward.keys.rotate',
  [digestOf(OTHER_TOKEN)]: 'keyward.secrets.read',
};

let server: Server;
let address: string;
let log: () => string;
const opened: { close(): void }[] = [];

afterEach(async () => {
  for (const client of opened.splice(0)) client.close();
  await drain(server, 0);
});

/** serve starts a server whose one method, a stream, is answered so. */
async function serve(stream: Stream): Promise<KeywardClient> {
  const clock = new ManualClock();
  const collected = collectLog('debug');
  const { logger } = collected;
  log = () => collected.text();
  const cache = new VerdictCache<VerdictFacts, VerdictRecord>({
    fetch: (digests) => Promise.resolve(new Map(digests.flatMap(factsOf))),
    ownerOf: ({ owner }) => owner,
    toRecord: (facts, owner, staleAt) => new VerdictRecord(facts, owner, staleAt, encodeValid(facts)),
    clock,
    maxEntries: 10,
    ttlMs: 60_000,
  });
  const usage = new UsageRecorder(
    { recordUse: () => Promise.resolve(), idsOfKeys: () => Promise.resolve(new Map()) },
    logger,
  );
  const findUsers = () => Promise.resolve(new Map());
  const users = new CertificateUsers({ findUsers, ttlMs: 1, clock });
  const certificates = new CertificateCallers(underLease(users), [], clock);
  const authenticator = new CredentialsAuthenticator(
    new Verdicts(underLease(cache), usage, clock),
    certificates,
  );
  const authentications = { succeeded: () => undefined, failed: () => undefined };
  server = newGrpcServer();
  addService(
    server,
    { rotateEncryptionKey: SecretServiceService.rotateEncryptionKey },
    { rotateEncryptionKey: { permission: 'keyward.keys.rotate', stream } },
    {
      authenticator,
      authentications,
      logger,
      calls: new Metrics().calls,
      limits: new CallerLimits({ calls: 10, streams: 10 }),
      stopping: new AbortController().signal,
      fastLane: true,
    },
  );
  const config = loadConfig({ KEYWARD_LISTEN: '127.0.0.1:0' });
  address = `127.0.0.1:${await listen(server, config.listen, serverCredentials(undefined))}`;
  return client(TOKEN);
}

function factsOf(digest: string): [string, VerdictFacts][] {
  const scope = SCOPES[digest];
  if (scope === undefined) return [];
  const owner = ANY_OWNER;
  const token = { tokenId: 1n, keyId: '3f2504e0-4f89-41d3-9a0c-0305e82c3301', name: 'key', isActive: true };
  return [[digest, { digest, ...token, expiresAt: null, createdAt: 0n, scopes: [scope], owner }]];
}

function client(token?: string): KeywardClient {
  const made = connect({ server: address, ...(token === undefined ? {} : { token }) });
  opened.push(made);
  return made;
}

function progress(done: number, primaryKeyId = ''): RotateEncryptionKeyResponse {
  return { done: BigInt(done), total: 0n, failed: 0n, finished: false, primaryKeyId };
}

/** countTo yields progress, a message a turn. */
async function* countTo(most: number): AsyncGenerator<RotateEncryptionKeyResponse> {
  for (let done = 1; done <= most; done += 1) yield await Promise.resolve(progress(done));
}

async function receive(messages: AsyncIterable<RotateEncryptionKeyResponse>): Promise<number[]> {
  const received: number[] = [];
  for await (const { done } of messages) received.push(Number(done));
  return received;
}

function accesses(): Record<string, unknown>[] {
  const lines = log().split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === 'call');
}

test('all messages arrive, in their order, and the call is logged once, at its end', async () => {
  let loggedBefore = -1;
  const { secrets } = await serve(async function* () {
    yield* countTo(100);
    loggedBefore = accesses().length;
  });
  expect(await receive(secrets.rotateEncryptionKey({}))).toEqual(
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
  expect(loggedBefore).toBe(0);
  expect(accesses()).toMatchObject([{ code: 'OK', username: 'alice', method: expect.any(String) as string }]);
});

test('the handler knows the caller and gets the request', async () => {
  const seen: unknown[] = [];
  const { secrets } = await serve((request, { username }) => {
    seen.push(request, username);
    return countTo(1);
  });
  await receive(secrets.rotateEncryptionKey({ dryRun: true, batchSize: 7 }));
  expect(seen).toEqual([{ dryRun: true, batchSize: 7 }, 'alice']);
});

test('a stream is not begun for those who may not call it, nor for what is no request', async () => {
  let begun = 0;
  await serve(() => {
    begun += 1;
    return countTo(1);
  });
  const outcome = async (token: string | undefined, bytes: Buffer) => {
    const peer = new Peer(address, token === undefined ? {} : { token });
    opened.push(peer);
    return peer.callRaw('rotateEncryptionKey', bytes);
  };
  const nothing = Buffer.alloc(0);
  expect(await outcome(undefined, nothing)).toMatchObject({
    code: 'UNAUTHENTICATED',
    reason: 'CREDENTIALS_REFUSED',
  });
  expect(await outcome('c'.repeat(64), nothing)).toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(await outcome(OTHER_TOKEN, nothing)).toMatchObject({
    code: 'PERMISSION_DENIED',
    metadata: { required_scope: 'keyward.keys.rotate' },
  });
  expect(await outcome(TOKEN, Buffer.from([0x0f]))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    reason: 'MALFORMED_REQUEST',
  });
  expect(begun).toBe(0);
  expect(accesses().map(({ code }) => code)).toEqual([
    'UNAUTHENTICATED',
    'UNAUTHENTICATED',
    'PERMISSION_DENIED',
    'INVALID_ARGUMENT',
  ]);
});

test('an error after some messages comes after them, with its reason', async () => {
  const { secrets } = await serve(async function* () {
    yield* countTo(3);
    throw new KeywardError('NOT_PERMITTED', 'no more');
  });
  const received: bigint[] = [];
  const call = async () => {
    for await (const { done } of secrets.rotateEncryptionKey({})) received.push(done);
  };
  await expect(call()).rejects.toMatchObject({ codeName: 'PERMISSION_DENIED', reason: 'NOT_PERMITTED' });
  expect(received).toEqual([1n, 2n, 3n]);
});

test('what nobody foresaw is INTERNAL, with its cause in the log alone', async () => {
  const { secrets } = await serve(() => {
    throw new Error('a cause that clients must not see');
  });
  const failure = await receive(secrets.rotateEncryptionKey({})).catch((error: unknown) => error);
  expect(failure).toMatchObject({ codeName: 'INTERNAL', reason: 'INTERNAL' });
  expect(String(failure)).not.toContain('a cause');
  expect(log()).toContain('a cause that clients must not see');
});

test('a client that does not read is not sent more than the buffers hold', async () => {
  const most = 2_000;
  let made = 0;
  await serve(async function* (request) {
    // Another call, by which the test knows that time has passed.
    if (request.dryRun) return;
    for (; made < most; made += 1) yield await Promise.resolve(progress(made, 'x'.repeat(50_000)));
  });
  // The library's own client reads ahead without limit.
  const session = http2.connect(`http://${address}`);
  opened.push({ close: () => session.destroy() });
  const call = session.request({
    ':method': 'POST',
    ':path': SecretServiceService.rotateEncryptionKey.path,
    'content-type': 'application/grpc',
    te: 'trailers',
    authorization: `Bearer ${TOKEN}`,
  });
  call.end(framed(Buffer.alloc(0)));
  const other = client(TOKEN);
  let before = -1;
  // Until it has made no more of them during another call.
  while (made === 0 || made !== before) {
    before = made;
    for (let round = 0; round < 20; round += 1)
      await receive(other.secrets.rotateEncryptionKey({ dryRun: true }));
  }
  expect(made).toBeLessThan(most / 10);
  const trailers = once(call, 'trailers') as Promise<[http2.IncomingHttpHeaders]>;
  call.resume();
  expect((await trailers)[0]).toMatchObject({ 'grpc-status': '0' });
  expect(made).toBe(most);
});

test('the iteration ends when the client has gone, and the call is logged as cancelled', async () => {
  let ended = false;
  const { secrets } = await serve(async function* () {
    try {
      for (;;) yield await Promise.resolve(progress(1));
    } finally {
      ended = true;
    }
  });
  for await (const _ of secrets.rotateEncryptionKey({})) break;
  await expect.poll(() => ended).toBe(true);
  await expect.poll(accesses).toMatchObject([{ code: 'CANCELLED' }]);
});

test('a client that goes while a message is in the making ends the call; what it is still doing is let be', async () => {
  let fail: (error: Error) => void = () => undefined;
  let ended = false;
  const { secrets } = await serve(async function* () {
    try {
      yield progress(1);
      yield await new Promise<never>((_, reject) => (fail = reject));
    } finally {
      ended = true;
    }
  });
  for await (const _ of secrets.rotateEncryptionKey({})) break;
  await expect.poll(accesses).toMatchObject([{ code: 'CANCELLED' }]);
  expect(ended).toBe(false);
  fail(new Error('too late for anybody'));
  await expect.poll(() => ended).toBe(true);
});

test('a stream that outlives the shutdown is ended by it', async () => {
  const { secrets } = await serve(async function* () {
    yield progress(1);
    yield await new Promise<never>(() => undefined);
  });
  const call = receive(secrets.rotateEncryptionKey({})).catch((error: unknown) => error);
  await drain(server, 0);
  expect(await call).toBeInstanceOf(Error);
});
