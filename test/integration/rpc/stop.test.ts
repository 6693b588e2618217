import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { Client, status, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HealthService } from '../../../src/gen/grpc/health/v1/health.js';
import { ServerReflectionService as ReflectionV1 } from '../../../src/gen/grpc/reflection/v1/reflection.js';
import { ServerReflectionService as ReflectionV1Alpha } from '../../../src/gen/grpc/reflection/v1alpha/reflection.js';
import { channelArguments } from '../../support/channel-arguments.js';
import { KeywardCallError } from '../../../src/client/index.js';
import { openSession } from '../../support/open-session.js';
import { framed } from '../../support/raw-http2.js';
import { encodeRequest, pathOf } from '../../support/rpc.js';
import type { TestServer } from '../../support/server.js';
import { World } from '../../support/world.js';

/** A stop that takes this grace is no stop that a test can wait for. */
const GRACE = { KEYWARD_SHUTDOWN_SECONDS: '600' };

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

const portOf = ({ address }: TestServer): number => Number(address.split(':').at(-1));
const same = (bytes: Buffer): Buffer => bytes;
const EMPTY = Buffer.alloc(0);

/** Open is a stream of which at least one message has come. */
interface Open {
  /** Name of the code that it ended with. */
  readonly ended: Promise<string>;
}

/** openStream opens a stream with one message, and waits for the first answer. */
async function openStream(server: TestServer, path: string, message: Buffer, isTalk: boolean): Promise<Open> {
  const client = new Client(...channelArguments({ server: server.address }));
  const talking = isTalk ? client.makeBidiStreamRequest(path, same, same) : undefined;
  talking?.write(message);
  const stream = talking ?? client.makeServerStreamRequest(path, same, same, message);
  const ended = new Promise<string>((resolve) => {
    stream.on('error', ({ code }: ServiceError) => resolve(status[code]));
    stream.on('end', () => resolve('OK'));
  }).finally(() => {
    client.close();
  });
  await once(stream, 'data');
  return { ended };
}

/** openTyped is the same for a stream of a typed client. */
async function openTyped(messages: AsyncIterable<unknown>): Promise<Open> {
  const iterator = messages[Symbol.asyncIterator]();
  await iterator.next();
  const ended = iterator.next().then(
    ({ done }) => (done === true ? 'OK' : 'a message'),
    (error: unknown) => (error instanceof KeywardCallError ? `${error.codeName} ${error.reason}` : 'none'),
  );
  return { ended };
}

/** talk asks one thing, and never says that this was all. */
async function* talk(): AsyncGenerator<{ token: string }> {
  yield { token: 'guess' };
  await new Promise(() => undefined);
}

test('streams without an end end first, with UNAVAILABLE, while a call under way is let end', async () => {
  const server = await world.startServer(GRACE);
  const client = world.client(world.adminToken, server);
  const { id } = await world.issue('admin');
  const lock = await openSession(world.database.url);
  await lock.query('BEGIN');
  await lock.query('SELECT 1 FROM tokens WHERE id = $1 FOR UPDATE', [String(id)]);
  const streams = await Promise.all([
    openStream(server, HealthService.watch.path, EMPTY, false),
    ...[ReflectionV1, ReflectionV1Alpha].map(({ serverReflectionInfo: { path, requestSerialize } }) =>
      openStream(server, path, requestSerialize({ host: '', messageRequest: undefined }), true),
    ),
    openTyped(client.tokens.watchTokens({})),
    openTyped(client.secrets.watchSecrets({})),
    openTyped(client.tokens.streamValidateTokens(talk())),
  ]);
  const blocked = client.tokens.updateToken({
    selector: { selector: { $case: 'id', value: id } },
    token: { description: 'changed while the service stops' },
    updateMask: ['description'],
  });
  await lock.untilSomebodyWaits();

  const stopped = server.stop();
  const codes = await Promise.all(streams.map(({ ended }) => ended));
  expect(codes).toEqual([
    ...Array<string>(3).fill('UNAVAILABLE'),
    ...Array<string>(3).fill('UNAVAILABLE STOPPING'),
  ]);
  await lock.query('COMMIT');
  expect((await blocked).token?.description).toBe('changed while the service stops');
  await stopped;
  await lock.close();
});

test('a watch whose client does not read does not hold up the stop', async () => {
  const server = await world.startServer(GRACE);
  // No byte of an answer may be sent, so its end never comes to be sent either.
  const session = connectHttp2(`http://${server.address}`, { settings: { initialWindowSize: 0 } });
  session.on('error', () => undefined);
  for (const [path, body, authorization] of [
    [pathOf('watchTokens'), encodeRequest('watchTokens', {}), `Bearer ${world.adminToken}`],
    [HealthService.watch.path, EMPTY, ''],
  ] as const) {
    const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
    const stream = session.request({ ...headers, authorization });
    stream.on('error', () => undefined);
    stream.end(framed(body));
    await once(stream, 'response');
  }
  await server.stop();
  session.destroy();
});

test('connections on which nothing happens do not hold up the stop', async () => {
  const server = await world.startServer(GRACE);
  const sockets: Socket[] = [];
  const open = async (bytes: Buffer): Promise<void> => {
    const socket = connectTcp({ port: portOf(server), host: '127.0.0.1', allowHalfOpen: true });
    sockets.push(socket.on('error', () => undefined));
    await once(socket, 'connect');
    socket.write(bytes);
  };
  // One has said nothing, one half of HTTP/2's greeting, and one all of it; none of them ever hangs up.
  const greeting = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');
  await open(EMPTY);
  await open(greeting.subarray(0, 10));
  await open(greeting);
  if (sockets[2] !== undefined) await once(sockets[2], 'data');
  await server.stop();
  for (const socket of sockets) socket.destroy();
});
