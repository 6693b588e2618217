import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http2, { type Http2Server, type Http2Session } from 'node:http2';
import { connect, type AddressInfo, type Socket } from 'node:net';
import tls from 'node:tls';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { Connection } from '../../../src/rpc/front-door/connection.js';

const TLS = new URL('../../fixtures/tls/', import.meta.url);
const CALLS = 20;

interface Pair {
  readonly client: http2.ClientHttp2Session;
  /** The client's. */
  readonly socket: Socket;
  readonly connection: Connection;
  /** How many calls the server has read. */
  readonly calls: () => number;
}

/** pairOver is a connection that has had a call, over TLS or without it. */
async function pairOver(protocol: 'http' | 'https'): Promise<Pair> {
  const read = (name: string) => readFile(new URL(name, TLS));
  const server: Http2Server =
    protocol === 'http'
      ? http2.createServer()
      : http2.createSecureServer({ key: await read('server.key.pem'), cert: await read('server.pem') });
  let connection: Connection | undefined;
  let calls = 0;
  server.prependListener('connection', (socket: Socket) => (connection = new Connection(socket, 0)));
  server.on('session', (session: Http2Session) => {
    session.on('error', () => undefined);
    connection?.opened(session);
  });
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    calls += 1;
    stream.respond({}, { endStream: true });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const client = http2.connect(`${protocol}://127.0.0.1`, {
    createConnection: () =>
      protocol === 'http'
        ? socket
        : tls.connect({ socket, ALPNProtocols: ['h2'], rejectUnauthorized: false }),
  });
  client.on('error', () => undefined);
  onTestFinished(() => {
    client.destroy();
    connection?.socket.destroy();
    server.close();
  });
  await once(call(client), 'close');
  if (connection === undefined) throw new Error('no connection');
  return { client, socket, connection, calls: () => calls };
}

/** pause repeats it until Node has done with what it had begun. */
async function pause(connection: Connection): Promise<void> {
  for (let each = 0; each < 10; each += 1) {
    connection.pause();
    await delay(1);
  }
}

function call(client: http2.ClientHttp2Session): http2.ClientHttp2Stream {
  return client
    .request({ ':path': '/' })
    .on('error', () => undefined)
    .resume();
}

const ENDS: [string, (pair: Pair) => void][] = [
  ['ended', ({ client }) => client.destroy()],
  ['was killed', ({ socket }) => void socket.resetAndDestroy()],
];

for (const protocol of ['http', 'https'] as const) {
  test.each(ENDS)(`a connection by ${protocol} that is not read ends if its client %s`, async (_, end) => {
    const pair = await pairOver(protocol);
    const { client, connection, calls } = pair;
    await pause(connection);
    for (let each = 0; each < CALLS; each += 1) call(client);
    end(pair);
    await expect
      .poll(() => {
        connection.probe();
        return connection.socket.destroyed;
      })
      .toBe(true);
    expect(calls()).toBe(1);
  });

  test(`a connection by ${protocol} that is not read is kept while its client is there`, async () => {
    const { client, connection, calls } = await pairOver(protocol);
    await pause(connection);
    const answered = Array.from({ length: CALLS }, () => once(call(client), 'close'));
    for (let each = 0; each < 50; each += 1) {
      connection.probe();
      await delay(1);
    }
    expect(calls()).toBe(1);
    connection.resume();
    await Promise.all(answered);
    expect(calls()).toBe(1 + CALLS);
  });
}
