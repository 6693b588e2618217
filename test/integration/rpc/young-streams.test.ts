import { EventEmitter, once } from 'node:events';
import http2, { type Http2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Server } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { drain, listen, newGrpcServer, serverCredentials } from '../../../src/rpc/grpc-server.js';
import { loadConfig } from '../../../src/config.js';
import { StreamTable } from '../../../src/rpc/stream-table.js';
import { keepStreamsYoung, replaceTable } from '../../../src/rpc/young-streams.js';

let server: http2.Http2Server;
let session: Http2Session;
let client: http2.ClientHttp2Session;

beforeEach(async () => {
  server = http2.createServer();
  server.on('session', (opened) => {
    replaceTable(opened);
    session = opened;
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200 });
    if (headers[':path'] !== '/open') stream.end(headers[':path']);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on('error', () => undefined);
  await once(client, 'connect');
});

afterEach(() => {
  client.destroy();
  server.close();
});

/** tableOf is where this Node keeps the open streams of a session. */
function tableOf(of: object): { readonly size: number } {
  const states = Object.getOwnPropertySymbols(of).map((symbol): unknown => Reflect.get(of, symbol));
  const tables = states.map((state) => (state as { streams?: unknown } | null | undefined)?.streams);
  const table = tables.find((each) => each instanceof StreamTable);
  if (table === undefined) throw new Error('this Node keeps its streams elsewhere');
  return table;
}

async function bodyOf(path: string): Promise<string> {
  const call = client.request({ ':path': path }).setEncoding('utf8');
  let body = '';
  call.on('data', (text: string) => (body += text));
  await once(call, 'close');
  return body;
}

test('this version of grpc-js tells its listening sockets', async () => {
  const grpc = newGrpcServer();
  const config = loadConfig({ KEYWARD_LISTEN: '127.0.0.1:0' });
  await listen(grpc, config.listen, serverCredentials(undefined));
  const warn = vi.fn();
  expect(keepStreamsYoung(grpc, { warn }).areKept).toBe(true);
  expect(warn).not.toHaveBeenCalled();
  await drain(grpc, 1_000);
});

test('where there is nothing to do, that is told once', () => {
  const warn = vi.fn();
  expect(keepStreamsYoung(newGrpcServer(), { warn }).areKept).toBe(false);
  expect(warn).toHaveBeenCalledTimes(1);

  const listening = new EventEmitter();
  const other = { http2Servers: new Map([[listening, undefined]]) };
  const young = keepStreamsYoung(other as unknown as Server, { warn });
  listening.emit('session', { [Symbol('state')]: { streams: new Map() } });
  expect(young.areKept).toBe(true);
  for (let each = 0; each < 3; each += 1) listening.emit('session', {});
  expect(young.areKept).toBe(false);
  expect(warn).toHaveBeenCalledTimes(2);
});

test('this version of Node serves with the other table, and holds no ended stream in it', async () => {
  const paths = Array.from({ length: 500 }, (_, call) => `/${call}`);
  expect(await Promise.all(paths.map(bodyOf))).toEqual(paths);
  await expect.poll(() => tableOf(session).size).toBe(0);
});

test('open streams end with their session', async () => {
  const open = client.request({ ':path': '/open' });
  open.on('error', () => undefined);
  await once(open, 'response');
  expect(tableOf(session).size).toBe(1);
  const closed = once(open, 'close');
  session.destroy();
  await closed;
  expect(session.destroyed).toBe(true);
});

test('a session that is not as expected is left as it is', () => {
  const streams = new Map([[1, 'open already']]);
  const busy = { [Symbol('state')]: { streams } };
  const other = { [Symbol('state')]: 'something else', [Symbol('other')]: { streams: new Map() } };
  for (const unexpected of [busy, other, {}]) {
    const before = structuredClone(contentsOf(unexpected));
    replaceTable(unexpected);
    expect(contentsOf(unexpected)).toEqual(before);
  }
});

function contentsOf(of: object): unknown[] {
  return Object.getOwnPropertySymbols(of).map((symbol): unknown => Reflect.get(of, symbol));
}
