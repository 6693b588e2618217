import { beforeEach, expect, test } from 'vitest';
import { ReadingShare, Turns, type Source } from '../../../src/rpc/front-door/turns.js';

/** What a call costs, and how long after its deadline its answer is of no use. */
const CALL_MS = 0.3;
const BUSY_CALLS = 100;
const DEADLINE_MS = 1_000;

/** FakeConnection is one whose client has so many calls under way at all times, and sends the next when one is answered. */
class FakeConnection implements Source {
  readonly share = new ReadingShare();
  isPaused = false;
  readonly #calls: number;
  /** When the calls that wait in the socket were sent. */
  sentAt: number;
  readonly waits: number[] = [];
  readonly probes: number[] = [];
  isGone = false;

  constructor(calls: number, now: number) {
    this.#calls = calls;
    this.sentAt = now;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  probe(): void {
    this.probes.push(now);
    if (this.isGone) {
      connections.splice(connections.indexOf(this), 1);
      turns.left(this);
    }
  }

  /** read has its calls answered. */
  read(): void {
    for (let call = 0; call < this.#calls; call += 1) {
      turns.arrived(this);
      now += CALL_MS;
    }
    this.waits.push(now - this.sentAt);
    this.sentAt = now;
  }
}

let now: number;
let connections: FakeConnection[];
let turns: Turns<FakeConnection>;

beforeEach(() => {
  now = 1_000;
  connections = [];
  turns = new Turns({ connections: () => connections, now: () => now });
});

function open(count: number, calls: number): FakeConnection[] {
  const opened = Array.from({ length: count }, () => new FakeConnection(calls, now));
  for (const each of opened) {
    connections.push(each);
    turns.opened(each);
  }
  return opened;
}

/** run has the event loop come round to whatever is read, for that time. */
function run(ms: number): void {
  for (const end = now + ms; now < end;) {
    const began = now;
    for (const each of connections) if (!each.isPaused) each.read();
    now = Math.max(now, began + 20);
    turns.nextRound();
  }
}

/** inTime is which share of the answers came before the deadlines. */
function inTime(among: readonly FakeConnection[]): number {
  const waits = among.flatMap((each) => each.waits);
  return waits.filter((ms) => ms <= DEADLINE_MS).length / waits.length;
}

test.each([
  [2.5, 85, 20_000],
  [10, 350, 80_000],
])('at %d times what is answered in time most answers come in time', (_, count, ms) => {
  const all = open(count, BUSY_CALLS);
  run(ms);
  expect(inTime(all)).toBeGreaterThan(0.65);
});

test('every connection has its turn', () => {
  const all = open(100, BUSY_CALLS);
  run(120_000);
  // Two at a time have turns of 800 ms; each has one round too late and several in time.
  expect(Math.max(...all.flatMap(({ waits }) => waits))).toBeLessThan(60_000);
  expect(Math.min(...all.map(({ waits }) => waits.length))).toBeGreaterThan(3);
});

test('who was let in, but had to wait again before it was read, keeps its place', () => {
  // Those with few calls are read in each round, and leave so little time that not all who are let in are come to.
  open(20, 4);
  const busy = open(200, BUSY_CALLS);
  run(200_000);
  const longest = busy.map(({ waits, sentAt }) => Math.max(...waits, now - sentAt)).sort((a, b) => a - b);
  const median = longest[100] ?? NaN;
  expect(longest.at(-1)).toBeLessThan(1.3 * median);
});

test('connections with few calls never wait, new ones only a little', () => {
  const calm = open(20, 1);
  run(100);
  open(300, BUSY_CALLS);
  run(5_000);
  const [late] = open(1, 1);
  run(10_000);
  // Nothing tells of an overload before the event loop has read for 300 ms.
  expect(Math.max(...calm.flatMap(({ waits }) => waits))).toBeLessThan(400);
  expect(late?.waits[0]).toBeLessThan(DEADLINE_MS);
  expect(Math.max(...(late?.waits.slice(1) ?? [Infinity]))).toBeLessThan(250);
});

test('many connections with few calls each take turns too where they are too much together', () => {
  const all = open(4_000, 4);
  run(20_000);
  expect(inTime(all)).toBeGreaterThan(0.5);
});

test('a connection that waits is looked at, more seldom the longer it waits, and not read if its other end has gone', () => {
  const all = open(350, BUSY_CALLS);
  run(30_000);
  const patient = all.reduce((a, b) => (a.waits.length < b.waits.length ? a : b));
  const intervals = patient.probes.slice(1).map((at, index) => at - (patient.probes[index] ?? 0));
  expect(Math.min(...intervals)).toBeGreaterThanOrEqual(300);
  expect(Math.max(...intervals)).toBeLessThan(2_000);
  expect(patient.probes.length).toBeLessThan(100);
  const gone = all.filter(({ isPaused }) => isPaused);
  for (const each of gone) {
    each.isGone = true;
    each.waits.length = 0;
  }
  run(2_500);
  // But for a few whose turn came before they were looked at.
  expect(connections.length).toBeLessThan(15);
  expect(gone.filter(({ waits }) => waits.length > 0).length).toBeLessThan(20);
});

test('when it is over everything is read again', () => {
  const all = open(350, BUSY_CALLS);
  run(5_000);
  expect(turns.waiting).toBeGreaterThan(300);
  expect(all.filter(({ isPaused }) => isPaused)).toHaveLength(turns.waiting);
  // One half hangs up, the other becomes calm.
  for (const each of connections.splice(0, 175)) turns.left(each);
  for (const each of connections.splice(0)) connections.push(calmed(each));
  run(2_000);
  expect(turns.waiting).toBe(0);
  expect(connections.some(({ isPaused }) => isPaused)).toBe(false);
});

function calmed(connection: FakeConnection): FakeConnection {
  return Object.assign(connection, {
    read: () => {
      connection.sentAt = now;
    },
  });
}

test('what is paused is paused again in each round, since Node begins to read by itself', () => {
  const all = open(50, BUSY_CALLS);
  run(2_000);
  const paused = all.filter(({ isPaused }) => isPaused);
  for (const each of paused) each.isPaused = false;
  turns.nextRound();
  expect(all.filter(({ isPaused }) => isPaused).length).toBe(turns.waiting);
  expect(turns.waiting).toBeGreaterThan(paused.length / 2);
});

test('after an overload nobody waits where all is answered in time again', () => {
  const all = open(100, BUSY_CALLS);
  run(10_000);
  expect(turns.waiting).toBeGreaterThan(0);
  // As much as makes turns of the event loop longer than while connections take turns, and is no overload.
  for (const each of connections.splice(5)) turns.left(each);
  for (const each of all) each.waits.length = 0;
  run(2_000);
  const ended = turns.ended;
  run(5_000);
  expect(turns.ended).toBe(ended);
  expect(turns.waiting).toBe(0);
});

test('nobody waits where all is answered in time', () => {
  open(8, 12);
  open(200, 1);
  run(5_000);
  expect(turns.ended).toBe(0);
  expect(turns.waiting).toBe(0);
});
