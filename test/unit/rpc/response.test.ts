import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Metadata, status } from '@grpc/grpc-js';
import { expect, onTestFinished, test } from 'vitest';
import { sendStatus } from '../../../src/rpc/front-door/response.js';
import { RawHttp2, type RawAnswer } from '../../support/raw-http2.js';

const LIMIT_MS = 5_000;
const BODY = Buffer.alloc(100);

function refuse(stream: ServerHttp2Stream): void {
  sendStatus(stream, { code: status.UNAUTHENTICATED, details: 'no', metadata: new Metadata() });
}

/** answerTo is what a client gets whose body never ends, from a server that does this with each stream. */
async function answerTo(answer: (stream: ServerHttp2Stream) => void): Promise<RawAnswer> {
  const server = createServer().on('stream', answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const wire = await RawHttp2.open((server.address() as AddressInfo).port);
  onTestFinished(() => {
    wire.close();
    server.close();
  });
  const call = wire.begin('/', {}, LIMIT_MS);
  call.write(BODY);
  return call.answer;
}

test.each([
  ['while its headers are read', refuse],
  ['while its body is read', (stream: ServerHttp2Stream) => void stream.once('data', () => refuse(stream))],
  ['while nothing is read', (stream: ServerHttp2Stream) => void setTimeout(refuse, 1, stream)],
])('a call that is refused %s has its answer, and is closed', async (_, answer) => {
  const streams: ServerHttp2Stream[] = [];
  const refused = await answerTo((stream) => {
    streams.push(stream);
    answer(stream);
  });
  expect(refused).toMatchObject({ code: 'UNAUTHENTICATED', message: 'no' });
  await expect.poll(() => streams.map(({ closed, rstCode }) => closed && rstCode)).toEqual([0]);
});

test('who else has a refused stream, and answers before it is closed, changes nothing', async () => {
  const failures: unknown[] = [];
  const refused = await answerTo((stream) => {
    refuse(stream);
    try {
      refuse(stream);
      stream.respond({ 'grpc-status': status.OK }, { endStream: true });
    } catch (error) {
      failures.push(error);
    }
  });
  expect(failures).toEqual([]);
  expect(refused).toMatchObject({ code: 'UNAUTHENTICATED', message: 'no' });
});
