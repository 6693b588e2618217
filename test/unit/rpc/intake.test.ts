import { beforeEach, expect, test } from 'vitest';
import { Intake, type Source } from '../../../src/rpc/front-door/intake.js';
import { MAX_CALLS, MAX_REQUEST_BYTES, WorkUnderWay } from '../../../src/rpc/front-door/work-under-way.js';

/** FakeSource is a connection that keeps what it was told. */
class FakeSource implements Source {
  isPaused = false;

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
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

test('connections are read on in the next turn, and in one in which little comes nobody waits', () => {
  for (let turn = 0; turn < 10; turn += 1) {
    intake.turn();
    read(1_000);
  }
  expect(intake.cuts).toBe(10);
  for (let turn = 0; turn < 10; turn += 1) {
    intake.turn();
    read(30);
  }
  expect(intake.cuts).toBe(10);
  expect(sources.some(({ isPaused }) => isPaused)).toBe(false);
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
