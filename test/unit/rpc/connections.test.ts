import { once } from 'node:events';
import http2, { type Http2Session, type ServerHttp2Stream } from 'node:http2';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Connections } from '../../../src/rpc/front-door/connections.js';
import { noConnections, type ConnectionCounts } from '../../../src/telemetry/connection-metrics.js';
import { FLAG, FRAME, frame, headerBlocks, opening } from '../../bench/http2-frames.js';

/** Intervals are short here, so the limits in seconds are in hundredths of one. */
const INTERVAL_MS = 10;
const LIMITS = { inAll: 8, perPeer: 4, idleSeconds: 30, requestSeconds: 1 };

let counts: ConnectionCounts;
let connections: Connections;
let server: http2.Http2Server;
let accepted: number;
const streams: ServerHttp2Stream[] = [];
const sockets: Socket[] = [];
const sessions: http2.ClientHttp2Session[] = [];

beforeEach(async () => {
  counts = noConnections();
  accepted = 0;
  connections = new Connections({
    limits: LIMITS,
    counts,
    onInterval: () => undefined,
    onSession: () => undefined,
    onEnd: () => undefined,
    onOverdue: () => undefined,
    intervalMs: INTERVAL_MS,
  });
  server = http2.createServer();
  connections.guard(server);
  server.on('connection', () => (accepted += 1));
  server.on('stream', (stream: ServerHttp2Stream, { ':path': path }) => {
    stream.on('error', () => undefined);
    if (path === '/caller') connectionOf(stream.session).recognized();
    if (path === '/visitor') connectionOf(stream.session).visited();
    streams.push(stream);
    stream.respond({ ':status': 200 });
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
});

afterEach(async () => {
  for (const each of [...sockets.splice(0), ...sessions.splice(0)]) each.destroy();
  streams.length = 0;
  server.close();
  await connections.stop();
});

function connectionOf(session: Http2Session | undefined) {
  const connection = connections.of(session);
  if (connection === undefined) throw new Error('a session without a connection');
  return connection;
}

function port(): number {
  return (server.address() as AddressInfo).port;
}

/** stranger opens a connection and says nothing, or the beginning of HTTP/2. Resolves when the server has it. */
async function stranger(localAddress = '127.0.0.1', bytes?: Buffer): Promise<Socket> {
  const before = accepted;
  const socket = connect({ port: port(), host: '127.0.0.1', localAddress }).on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  if (bytes !== undefined) socket.write(bytes);
  socket.resume();
  await expect.poll(() => accepted).toBeGreaterThan(before);
  return socket;
}

async function call(
  path: string,
  localAddress = '127.0.0.1',
): Promise<{ session: http2.ClientHttp2Session; end: () => void }> {
  const session = http2.connect(`http://127.0.0.1:${port()}`, {
    createConnection: () => connect({ port: port(), host: '127.0.0.1', localAddress }),
  });
  session.on('error', () => undefined);
  sessions.push(session);
  const request = session.request({ ':path': path, ':method': 'POST' });
  request.on('error', () => undefined).resume();
  await once(request, 'response');
  return {
    session,
    end: () => {
      request.close();
    },
  };
}

test('a connection that shows nothing is closed, whether it speaks HTTP/2 or does not', async () => {
  const silent = [await stranger(), await stranger('127.0.0.1', opening())];
  for (const socket of silent) await expect.poll(() => socket.destroyed || socket.readableEnded).toBe(true);
  expect(counts.ended).toMatchObject({ unauthenticated: 2, evicted: 0 });
  expect(connections.use).toEqual({ authenticated: 0, unauthenticated: 0 });
});

test.each(['/caller', '/visitor'])(
  'a connection is idle when it has had no call for a while, and not while it has one: %s',
  async (path) => {
    const { session, end } = await call(path);
    const from = connections.interval;
    await expect.poll(() => connections.interval).toBeGreaterThan(from + 2 * LIMITS.idleSeconds);
    expect(session.closed).toBe(false);
    end();
    await expect.poll(() => session.closed).toBe(true);
    expect(counts.ended).toMatchObject({ idle: 1, unauthenticated: 0 });
  },
);

test('a connection on which too much was sent is closed, unless a good call follows', async () => {
  const [bad, good] = [await call('/caller'), await call('/caller')];
  for (const [index, { end }] of [bad, good].entries()) {
    connectionOf(streams[index]?.session).misused(connections.interval);
    end();
  }
  connectionOf(streams[1]?.session).recognized();
  const again = good.session.request({ ':path': '/caller', ':method': 'POST' });
  again.on('error', () => undefined).resume();
  await expect.poll(() => bad.session.closed).toBe(true);
  expect(good.session.closed).toBe(false);
  expect(counts.ended).toMatchObject({ misuse: 1 });
});

test('a connection on which much too much was sent is cut off', async () => {
  const bad = await call('/caller');
  for (let each = 0; each < 20; each += 1) connections.misused(connectionOf(streams[0]?.session));
  await expect.poll(() => bad.session.destroyed).toBe(true);
  expect(counts.ended).toMatchObject({ misuse: 1 });
});

test('a client that does not close its end of an idle connection is cut off', async () => {
  const socket = connect({ port: port(), host: '127.0.0.1', allowHalfOpen: true });
  sockets.push(socket.on('error', () => undefined).resume());
  const { first } = headerBlocks('a', '/caller', 'x');
  socket.write(Buffer.concat([opening(), frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, first)]));
  await expect.poll(() => connections.use.authenticated).toBe(1);
  socket.write(frame(FRAME.resetStream, 0, 1, Buffer.alloc(4)));
  await expect.poll(() => socket.readableEnded).toBe(true);
  await expect.poll(() => connections.use.authenticated).toBe(0);
  expect(counts.ended).toMatchObject({ idle: 1 });
});

test('the one that has shown nothing for the longest makes room, and never one with calls', async () => {
  const busy = await call('/caller', '127.0.0.2');
  const first = await stranger('127.0.0.2');
  const others = [await stranger('127.0.0.2'), await stranger('127.0.0.2')];
  await stranger('127.0.0.2');
  await expect.poll(() => first.destroyed || first.readableEnded).toBe(true);
  expect(others.map((socket) => socket.destroyed)).toEqual([false, false]);
  expect(busy.session.closed).toBe(false);
  expect(counts.ended).toMatchObject({ evicted: 1, limit: 0, peer_limit: 0 });
});

test('of all addresses together no more are kept than may be, of callers the idle ones make room', async () => {
  const busy: Awaited<ReturnType<typeof call>>[] = [];
  for (const address of ['127.0.0.2', '127.0.0.3']) {
    for (let each = 0; each < 4; each += 1) busy.push(await call('/caller', address));
  }
  busy[5]?.end();
  await expect.poll(() => streams[5]?.destroyed).toBe(true);
  const newcomer = await call('/caller', '127.0.0.4');
  await expect.poll(() => busy[5]?.session.destroyed).toBe(true);
  expect(counts.ended).toMatchObject({ evicted: 1, limit: 0 });
  expect(newcomer.session.closed).toBe(false);
});

test('where all have calls the next one is kept to be told so, and no more than a few of these', async () => {
  for (let each = 0; each < 4; each += 1) await call('/caller');
  const surplus: Socket[] = [];
  for (let each = 0; each < 20; each += 1) surplus.push(await stranger());
  await expect
    .poll(() => surplus.filter((socket) => socket.destroyed || socket.readableEnded).length)
    .toBe(4);
  expect(counts.ended).toMatchObject({ peer_limit: 20, evicted: 0 });
  const told = await call('/any');
  expect(connectionOf(streams.at(-1)?.session).isSurplus).toBe(true);
  told.session.destroy();
  // An address that has room is served all the same.
  await call('/caller', '127.0.0.2');
  expect(connectionOf(streams.at(-1)?.session).isSurplus).toBe(false);
});

test('one that is closing and has to make room is cut off, though its client does not close it', async () => {
  const client = connect({ port: port(), host: '127.0.0.1', allowHalfOpen: true });
  sockets.push(client.on('error', () => undefined).resume());
  const { first } = headerBlocks('a', '/visitor', 'x');
  client.write(Buffer.concat([opening(), frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, first)]));
  await expect.poll(() => streams.length).toBe(1);
  const connection = connectionOf(streams[0]?.session);
  connection.close(connections.interval);
  connection.destroy(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
  expect(connection.socket.destroyed).toBe(true);
});

test('a connection that is paused is not read until it is resumed, and loses nothing', async () => {
  const { session } = await call('/caller');
  const connection = connectionOf(streams[0]?.session);
  connection.pause();
  const later = session.request({ ':path': '/caller', ':method': 'POST' });
  later.on('error', () => undefined).resume();
  streams[0]?.end();
  const from = connections.interval;
  // Long enough for it to be taken for idle, if it were not paused.
  await expect.poll(() => connections.interval, { timeout: 5_000 }).toBeGreaterThan(from + 100);
  expect(streams).toHaveLength(1);
  connection.resume();
  await once(later, 'response');
  expect(session.closed).toBe(false);
});

test('one that is resumed while it does not take what is written is read on once it has', async () => {
  const socket = await stranger('127.0.0.1', opening());
  const { first, later } = headerBlocks('localhost', '/caller', 'Bearer x');
  socket.pause();
  socket.write(frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, first));
  await expect.poll(() => streams.length).toBe(1);
  const connection = connectionOf(streams[0]?.session);
  streams[0]?.end(Buffer.alloc(2 ** 25));
  const queued = () => connection.socket.writableLength + handleOf(connection).writeQueueSize;
  await expect.poll(queued).toBeGreaterThan(0);
  connection.pause();
  connection.resume();
  socket.write(frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 3, later));
  const from = connections.interval;
  await expect.poll(() => connections.interval).toBeGreaterThan(from + 10);
  expect(streams).toHaveLength(1);
  socket.resume();
  await expect.poll(() => streams.length, { timeout: 5_000 }).toBe(2);
});

function handleOf({ socket }: { readonly socket: Socket }): { readonly writeQueueSize: number } {
  return Reflect.get(socket, '_handle') as { readonly writeQueueSize: number };
}
