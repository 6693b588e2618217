import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Metadata, status } from '@grpc/grpc-js';
import { expect, onTestFinished, test, vi } from 'vitest';
import { sendStatus } from '../../../src/rpc/front-door/response.js';
import { RepeatedResponse } from '../../../src/rpc/library.js';
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

test('this Node lets a response be repeated: what follows it is the same, and has trailers', async () => {
  const response = new RepeatedResponse(
    { ':status': 200, 'x-of': 'the response' },
    { waitForTrailers: true },
  );
  const repeated: boolean[] = [];
  const flags: unknown[] = [];
  const server = createServer()
    .on('stream', (stream) => {
      repeated.push(response.isRepeated);
      stream.on('wantTrailers', () => {
        stream.sendTrailers({ 'grpc-status': status.OK, 'grpc-message': 'told' });
      });
      response.begin(stream);
      flags.push([stream.headersSent, stream.closed]);
      stream.end(BODY);
    })
    .listen(0, '127.0.0.1');
  await once(server, 'listening');
  const wire = await RawHttp2.open((server.address() as AddressInfo).port);
  onTestFinished(() => {
    wire.close();
    server.close();
  });
  const answers: RawAnswer[] = [];
  for (let call = 0; call < 4; call += 1) answers.push(await wire.call('/', BODY, {}, LIMIT_MS));
  const untimed = answers.map(({ received, ...answer }) => [
    answer,
    received.toString().replace(/date: .*/, ''),
  ]);
  expect(untimed).toEqual(untimed.map(() => untimed[0]));
  expect(answers[0]).toMatchObject({ code: 'OK', message: 'told' });
  expect(flags).toEqual(flags.map(() => [true, false]));
  // The second in which it is repeated may end in between.
  expect(repeated.slice(1).filter(Boolean).length).toBeGreaterThan(1);
});

test('where Node is otherwise, it makes each response itself', () => {
  const respond = vi.fn();
  const stream = { respond, [Symbol('kHandle')]: undefined, [Symbol('state')]: 'elsewhere' };
  const response = new RepeatedResponse({ 'x-of': 'the response' }, {});
  for (let call = 0; call < 3; call += 1) response.begin(stream as unknown as ServerHttp2Stream);
  expect(respond).toHaveBeenCalledTimes(3);
  expect(response.isRepeated).toBe(false);
});
