import { beforeEach, expect, test } from 'vitest';
import { Intake, MAX_STREAMS, type Source } from '../../../src/rpc/front-door/intake.js';
import { MAX_CALLS, MAX_REQUEST_BYTES, WorkUnderWay } from '../../../src/rpc/front-door/work-under-way.js';

/** FakeSource is a connection that keeps what it was told. */
class FakeSource implements Source {
  isBusy = true;
  isPaused = false;
  streams = MAX_STREAMS;

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  allowStreams(count: number): void {
    this.streams = count;
  }
}

let now: number;
let sources: FakeSource[];
let intake: Intake;

function begin(connections: number): void {
  now = 1_000;
  sources = Array.from({ length: connections }, () => new FakeSource());
  intake = new Intake({ connections: () => sources, now: () => now });
}

/** read lets calls come one after another, until the connections are paused or `ms` have passed. */
function read(ms: number): void {
  for (const end = now + ms; now < end && sources[0]?.isPaused !== true; now += 1) {
    for (let call = 0; call < 16; call += 1) intake.arrived();
  }
}

/** overload reads for that long, as much in each turn as is read in one. */
function overload(ms: number): void {
  for (const end = now + ms; now < end;) {
    intake.turn();
    read(1_000);
  }
  intake.turn();
}

/** calm lets turns pass in which little is read. */
function calm(ms: number): void {
  for (const end = now + ms; now < end;) {
    intake.turn();
    read(5);
    now += 5;
  }
}

beforeEach(() => {
  begin(500);
});

test('a turn of the event loop that reads for too long leaves the connections to the next one', () => {
  intake.turn();
  const began = now;
  read(1_000);
  expect(now - began).toBeLessThanOrEqual(50);
  expect(sources.every(({ isPaused }) => isPaused)).toBe(true);
  expect(intake.cuts).toBe(1);
  const late = new FakeSource();
  intake.opened(late);
  expect(late.isPaused).toBe(true);
  intake.turn();
  expect(sources.some(({ isPaused }) => isPaused)).toBe(false);
});

test('a single long turn takes no calls from anybody', () => {
  intake.turn();
  read(1_000);
  calm(2_000);
  expect(intake.streams).toBe(MAX_STREAMS);
});

test('clients may have fewer calls under way the longer there is more to read than is answered, never none', () => {
  overload(200);
  expect(intake.streams).toBeLessThan(MAX_STREAMS);
  overload(3_000);
  expect(intake.streams).toBe(2);
  expect(sources.every(({ streams }) => streams === 2)).toBe(true);
  const late = new FakeSource();
  intake.opened(late);
  expect(late.streams).toBe(2);
});

test('few connections keep as many calls as they need to be busy', () => {
  begin(4);
  overload(5_000);
  expect(intake.streams).toBe(64);
  begin(2);
  overload(5_000);
  expect(intake.streams).toBe(MAX_STREAMS);
});

test('after a while without a backlog they may have more again, step by step, up to all', () => {
  overload(3_000);
  calm(900);
  expect(intake.streams).toBe(2);
  calm(300);
  expect(intake.streams).toBe(3);
  calm(12_000);
  expect(intake.streams).toBe(MAX_STREAMS);
  expect(sources.every(({ streams }) => streams === MAX_STREAMS)).toBe(true);
});

test('as many calls as may be are worked on, and each that ends makes room once', () => {
  const work = new WorkUnderWay();
  const ends = Array.from({ length: MAX_CALLS }, () => work.begin(100));
  expect(ends.every((end) => end !== undefined)).toBe(true);
  expect(work.begin(1)).toBeUndefined();
  ends[0]?.();
  expect(work.begin(1)).toBeDefined();
  expect(work.begin(1)).toBeUndefined();
});

test('their requests are limited in bytes, but one alone always may', () => {
  const work = new WorkUnderWay();
  const end = work.begin(MAX_REQUEST_BYTES + 1);
  expect(end).toBeDefined();
  expect(work.begin(1)).toBeUndefined();
  end?.();
  expect(work.begin(MAX_REQUEST_BYTES)).toBeDefined();
  expect(work.calls).toBe(1);
});
