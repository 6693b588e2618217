import { Duplex } from 'node:stream';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { beforeEach, expect, test } from 'vitest';
import { answerEach, type BidirectionalCall } from '../../../src/rpc/bidirectional-call.js';
import { settled } from '../../support/manual-timers.js';

/** Line is a conversation's stream, of which a test is the other side. */
class Line extends Duplex {
  cancelled = false;
  readonly answers: number[] = [];
  /** How many requests were taken. */
  taken = 0;
  #take: (() => void) | undefined;
  #isOpen = true;

  constructor(readonly requests: number) {
    super({ objectMode: true });
  }

  /** block takes no more answers. */
  block(): void {
    this.#isOpen = false;
  }

  open(): void {
    this.#isOpen = true;
    this.#take?.();
  }

  override _read(): void {
    if (this.taken < this.requests) this.push((this.taken += 1));
    else this.push(null);
  }

  override _write(answer: number, _encoding: string, callback: () => void): void {
    const take = (): void => {
      this.answers.push(answer);
      callback();
    };
    if (this.#isOpen) take();
    else this.#take = take;
  }
}

let stopping: AbortController;

beforeEach(() => {
  stopping = new AbortController();
});

function hold(
  line: Line,
  answer: (request: number) => number | Promise<number>,
): Promise<'answered' | 'cancelled'> {
  const call: unknown = line;
  return answerEach(call as BidirectionalCall<number, number> & ServerDuplexStream<number, number>, answer, [
    stopping.signal,
  ]);
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

async function quiet(): Promise<void> {
  for (let turn = 0; turn < 500; turn += 1) await settled();
}

test('answers come in the order of the requests, whichever is ready first', async () => {
  const line = new Line(500);
  const open: (() => void)[] = [];
  const answer = (request: number) =>
    request % 3 === 0 ? request : new Promise<number>((resolve) => open.push(() => resolve(request)));
  const ended = hold(line, answer);
  while (line.answers.length < 500) {
    await settled();
    open.pop()?.();
  }
  expect(await ended).toBe('answered');
  expect(line.answers).toEqual(upTo(500));
});

test('no more than a hundred requests are under way, and few more are read', async () => {
  const line = new Line(10_000);
  const open: (() => void)[] = [];
  const ended = hold(line, (request) => new Promise<number>((resolve) => open.push(() => resolve(request))));
  await quiet();
  expect(open).toHaveLength(100);
  expect(line.taken).toBeLessThan(150);
  while (line.answers.length < 10_000) {
    for (const each of open.splice(0)) each();
    await settled();
  }
  expect(await ended).toBe('answered');
  expect(line.answers).toEqual(upTo(10_000));
});

test('requests are not read while the client takes no answers', async () => {
  const line = new Line(10_000);
  line.block();
  const ended = hold(line, (request) => request);
  await quiet();
  expect(line.taken).toBeLessThan(100);
  line.open();
  expect(await ended).toBe('answered');
  await expect.poll(() => line.answers).toEqual(upTo(10_000));
});

test('the first failure ends it, after the answers to those before, and no later request is looked at', async () => {
  const line = new Line(50);
  const looked: number[] = [];
  let answerSecond: (value: number) => void = () => undefined;
  const ended = hold(line, (request) => {
    looked.push(request);
    if (request === 2) return new Promise<number>((resolve) => (answerSecond = resolve));
    if (request === 4) throw new Error('the fourth');
    return request;
  });
  const failure = ended.catch((error: unknown) => error);
  await quiet();
  expect(line.answers).toEqual([1]);
  answerSecond(2);
  expect(await failure).toMatchObject({ message: 'the fourth' });
  expect(line.answers).toEqual([1, 2, 3]);
  expect(looked).toEqual([1, 2, 3, 4]);
});

test('what interrupts it comes after the answers to what was asked before', async () => {
  const line = new Line(50);
  let answerThird: (value: number) => void = () => undefined;
  const ended = hold(line, (request) =>
    request < 3 ? request : new Promise<number>((resolve) => request === 3 && (answerThird = resolve)),
  );
  await quiet();
  stopping.abort(new Error('stopped'));
  const failure = ended.catch((error: unknown) => error);
  answerThird(3);
  await quiet();
  expect(line.answers).toEqual([1, 2, 3]);
  line.cancelled = true;
  line.emit('cancelled');
  expect(await failure).toBe('cancelled');
});

test('a client that goes ends it, whatever is under way', async () => {
  const line = new Line(50);
  const ended = hold(line, () => new Promise<number>(() => undefined));
  await quiet();
  line.emit('cancelled');
  expect(await ended).toBe('cancelled');
});
