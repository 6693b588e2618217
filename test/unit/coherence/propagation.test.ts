import { beforeEach, describe, expect, test } from 'vitest';
import { Acknowledgements } from '../../../src/coherence/acknowledgements.js';
import { Continuity } from '../../../src/coherence/continuity.js';
import type { Outcome, Registered, ReplicaLease } from '../../../src/coherence/ports.js';
import { PropagationWait, type Propagation } from '../../../src/coherence/propagation.js';
import { ManualTimers } from '../../support/manual-timers.js';

const EPOCH = 'first';
const REVISION = 5n;
const CHANGE = { epoch: EPOCH, revision: REVISION };
const SERVER = 'server';
const MAX_STALE_MS = 60_000;
const NO_CLIENTS = { clientsAcknowledged: 0, clientsExpired: 0 };

let timers: ManualTimers;
let acknowledgements: Acknowledgements;
let continuity: Continuity;
let registered: ReplicaLease[];
let epoch: Omit<Registered, 'replicas'>;
let readings: number;
let outcome: () => Promise<Outcome>;
let wait: PropagationWait;

beforeEach(() => {
  timers = new ManualTimers();
  acknowledgements = new Acknowledgements();
  continuity = new Continuity(timers);
  registered = [];
  epoch = { epoch: EPOCH, epochAgeMs: undefined, server: SERVER };
  readings = 0;
  outcome = () => Promise.resolve({ revision: REVISION, ...epoch, replicas: registered });
  wait = new PropagationWait({
    replica: 'self',
    registrations: {
      outcome: () => outcome(),
      registered: () => {
        readings += 1;
        return Promise.resolve({ ...epoch, replicas: registered });
      },
    },
    acknowledgements,
    continuity,
    timers,
    maxStaleMs: MAX_STALE_MS,
  });
});

function lease(replica: string, changes: Partial<ReplicaLease> = {}): ReplicaLease {
  return { replica, leftMs: 2_000, maxStaleMs: 0, applied: 0n, renewals: undefined, ...changes };
}

/** begin waits for a change and returns what is known of the result so far. */
function begin(): { propagation?: Propagation } {
  const result: { propagation?: Propagation } = {};
  void wait.after('barrier').then((propagation) => {
    result.propagation = propagation;
  });
  return result;
}

test('a replica alone need not wait, not even for its own acknowledgement', async () => {
  registered = [lease('self')];
  expect(await wait.after('barrier')).toEqual({
    complete: true,
    acknowledged: 0,
    pending: 0,
    ...NO_CLIENTS,
    waitedMs: 0,
  });
});

test('a change is complete as soon as all who hold a lease have acknowledged it', async () => {
  registered = [lease('a'), lease('b')];
  const result = begin();
  await timers.advance(3);
  acknowledgements.note('a', CHANGE);
  await timers.advance(4);
  expect(result.propagation).toBeUndefined();
  acknowledgements.note('b', CHANGE);
  await timers.advance(0);
  expect(result.propagation).toEqual({
    complete: true,
    acknowledged: 2,
    pending: 0,
    ...NO_CLIENTS,
    waitedMs: 7,
  });
  expect(readings).toBe(0);
});

test('a strict replica that says nothing is waited for until its lease, as it was read, has run out', async () => {
  registered = [lease('a'), lease('b', { leftMs: 1_200 })];
  const result = begin();
  await timers.advance(10);
  acknowledgements.note('a', CHANGE);
  await timers.advance(1_189);
  expect(result.propagation).toBeUndefined();
  await timers.advance(1);
  expect(result.propagation).toEqual({
    complete: true,
    acknowledged: 1,
    pending: 0,
    ...NO_CLIENTS,
    waitedMs: 1_200,
  });
});

test('the lease counts from the reply: how long the question took is not taken off', async () => {
  let reply: (value: Outcome) => void = () => undefined;
  outcome = () =>
    new Promise((resolve) => {
      reply = resolve;
    });
  registered = [lease('a', { leftMs: 1_000 })];
  const result = begin();
  await timers.advance(400);
  reply({ revision: REVISION, ...epoch, replicas: registered });
  await timers.advance(999);
  expect(result.propagation).toBeUndefined();
  await timers.advance(1);
  expect(result.propagation?.waitedMs).toBe(1_400);
});

test('where stale answers may come from a replica, the change is not complete, and is said to be effective after them', async () => {
  registered = [
    lease('a', { leftMs: 1_000, maxStaleMs: 30_000 }),
    lease('b', { leftMs: -2_000, maxStaleMs: 60_000 }),
    lease('gone', { leftMs: -90_000, maxStaleMs: 60_000 }),
  ];
  const effectiveByMs = timers.wallMs() + 58_000;
  const result = begin();
  await timers.advance(1_000);
  expect(result.propagation).toEqual({
    complete: false,
    acknowledged: 0,
    ...NO_CLIENTS,
    pending: 2,
    waitedMs: 1_000,
    effectiveByMs,
  });
});

test('nobody waits for a replica whose lease ran out before the change', async () => {
  registered = [lease('a', { leftMs: -1, maxStaleMs: 60_000 })];
  const { complete, waitedMs } = await wait.after('barrier');
  expect({ complete, waitedMs }).toEqual({ complete: false, waitedMs: 0 });
});

test('an acknowledgement that is lost is found in what the replica registers with its next renewal', async () => {
  registered = [lease('a', { maxStaleMs: 60_000 })];
  const result = begin();
  await timers.advance(600);
  expect(result.propagation).toBeUndefined();
  registered = [lease('a', { maxStaleMs: 60_000, applied: REVISION })];
  await timers.advance(400);
  expect(result.propagation).toEqual({
    complete: true,
    acknowledged: 1,
    pending: 0,
    ...NO_CLIENTS,
    waitedMs: 1_000,
  });
});

test('a replica that signs off while it is waited for is waited for no longer', async () => {
  registered = [lease('a', { maxStaleMs: 60_000 })];
  const result = begin();
  await timers.advance(100);
  registered = [];
  await timers.advance(400);
  expect(result.propagation).toMatchObject({ complete: true, pending: 0, waitedMs: 500 });
});

test('any number of waiting changes read the registrations twice a second, all together', async () => {
  registered = [lease('a')];
  for (let change = 0; change < 20; change += 1) {
    begin();
    await timers.advance(10);
  }
  await timers.advance(1_300);
  expect(readings).toBe(3);
});

describe('in an epoch that has just begun', () => {
  beforeEach(() => {
    epoch = { ...epoch, epochAgeMs: 1_000 };
  });

  test('those are waited for whom nobody knows, until none of them may answer', async () => {
    registered = [lease('a', { applied: REVISION })];
    const effectiveByMs = timers.wallMs() + 2_000 + MAX_STALE_MS * (31 / 30);
    const result = begin();
    await timers.advance(1_999);
    expect(result.propagation).toBeUndefined();
    await timers.advance(1);
    expect(result.propagation).toMatchObject({
      complete: false,
      acknowledged: 1,
      ...NO_CLIENTS,
      pending: 1,
      waitedMs: 2_000,
    });
    expect(result.propagation?.effectiveByMs).toBeCloseTo(effectiveByMs, 3);
  });

  test('nothing is waited for once it is old enough, nor in the first of a database', async () => {
    registered = [lease('a', { applied: REVISION })];
    for (const epochAgeMs of [3_000 + MAX_STALE_MS * (31 / 30), undefined]) {
      epoch = { ...epoch, epochAgeMs };
      expect(await wait.after('barrier')).toMatchObject({ complete: true, acknowledged: 1, waitedMs: 0 });
    }
  });

  test('a clock that was set back prolongs nothing beyond what a lease lasts', async () => {
    epoch = { ...epoch, epochAgeMs: -600_000 };
    const result = begin();
    await timers.advance(3_000);
    expect(result.propagation).toMatchObject({ pending: 1, waitedMs: 3_000 });
  });
});

test('if another epoch begins meanwhile, nobody is taken for signed off, and all is read again', async () => {
  registered = [lease('a')];
  const result = begin();
  await timers.advance(100);
  registered = [];
  epoch = { ...epoch, epoch: 'second', epochAgeMs: 400 };
  await timers.advance(2_900);
  expect(result.propagation).toBeUndefined();
  await timers.advance(100);
  expect(result.propagation).toMatchObject({ complete: false, pending: 1 });
});

test('what another server tells counts only when this process has found there what it had seen', async () => {
  continuity.confirm('server before');
  const result = begin();
  await timers.advance(500);
  expect(result.propagation).toBeUndefined();
  epoch = { ...epoch, epoch: 'second', epochAgeMs: 0 };
  continuity.confirm(SERVER);
  await timers.advance(2_999);
  expect(result.propagation).toBeUndefined();
  await timers.advance(1);
  expect(result.propagation).toMatchObject({ complete: false, pending: 1, waitedMs: 3_500 });
});

test('what another server told before this process had found there what it had seen does not count', async () => {
  continuity.confirm('server before');
  registered = [lease('old', { leftMs: -1 })];
  const early: Outcome = { revision: REVISION, ...epoch, replicas: registered };
  let answer: (read: Outcome) => void = () => undefined;
  outcome = () => new Promise((resolve) => (answer = resolve));
  const result = begin();
  await timers.advance(10);
  epoch = { ...epoch, epoch: 'second', epochAgeMs: 0 };
  continuity.confirm(SERVER);
  outcome = () => Promise.resolve({ revision: REVISION, ...epoch, replicas: registered });
  answer(early);
  await timers.advance(2_999);
  expect(result.propagation).toBeUndefined();
});

test('what another server tells is not believed where that is not found out in time', async () => {
  continuity.confirm('server before');
  const result = begin();
  await timers.advance(3_000);
  expect(result.propagation).toMatchObject({ complete: false, pending: 0, waitedMs: 3_000 });
});

test('a change waits for three times a lease at most, however slowly all that it waits for comes', async () => {
  continuity.confirm('server before');
  const slowly = 2_900;
  outcome = () =>
    new Promise((resolve) => {
      timers.after(slowly, () => {
        resolve({ revision: REVISION, ...epoch, replicas: [lease('silent', { leftMs: 3_000 })] });
        timers.after(slowly, () => {
          continuity.confirm(SERVER);
        });
      });
    });
  const result = begin();
  await timers.advance(9_000);
  expect(result.propagation).toBeDefined();
});

test('a lease that the clock of the database prolongs is waited for once, unless it is renewed', async () => {
  registered = [lease('dead', { leftMs: 3_000, renewals: 4n })];
  const first = begin();
  await timers.advance(3_000);
  expect(first.propagation).toMatchObject({ complete: true, waitedMs: 3_000 });
  expect(await wait.after('barrier')).toMatchObject({ complete: true, waitedMs: 0 });
  registered = [lease('dead', { leftMs: 3_000, renewals: 5n })];
  const third = begin();
  await timers.advance(2_999);
  expect(third.propagation).toBeUndefined();
  await timers.advance(1);
  expect(third.propagation).toMatchObject({ waitedMs: 3_000 });
});

test.each([
  ['refuses', () => Promise.reject(new Error('gone')), 0],
  ['does not answer', () => new Promise<Outcome>(() => undefined), 3_000],
])(
  'a committed change is never an error: if the database %s, it is not known to be complete',
  async (_what, fails, waitedMs) => {
    outcome = fails;
    const latest = timers.wallMs() + 3_000 + MAX_STALE_MS * (31 / 30);
    const result = begin();
    await timers.advance(3_000);
    expect(result.propagation).toMatchObject({ complete: false, pending: 0, waitedMs });
    expect(result.propagation?.effectiveByMs).toBeCloseTo(latest, 3);
  },
);
