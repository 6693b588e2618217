import { beforeEach, expect, test } from 'vitest';
import { Acknowledgements } from '../../../src/coherence/acknowledgements.js';
import type { Outcome, ReplicaLease } from '../../../src/coherence/ports.js';
import { PropagationWait, type Propagation } from '../../../src/coherence/propagation.js';
import { ManualTimers } from '../../support/manual-timers.js';

const REVISION = 5n;
const MAX_STALE_MS = 60_000;

let timers: ManualTimers;
let acknowledgements: Acknowledgements;
let registered: ReplicaLease[];
let readings: number;
let outcome: () => Promise<Outcome>;
let wait: PropagationWait;

beforeEach(() => {
  timers = new ManualTimers();
  acknowledgements = new Acknowledgements();
  registered = [];
  readings = 0;
  outcome = () => Promise.resolve({ revision: REVISION, replicas: registered });
  wait = new PropagationWait({
    replica: 'self',
    registrations: {
      outcome: () => outcome(),
      replicas: () => {
        readings += 1;
        return Promise.resolve(registered);
      },
    },
    acknowledgements,
    timers,
    maxStaleMs: MAX_STALE_MS,
  });
});

function lease(replica: string, changes: Partial<ReplicaLease> = {}): ReplicaLease {
  return { replica, leftMs: 2_000, maxStaleMs: 0, applied: 0n, ...changes };
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
  expect(await wait.after('barrier')).toEqual({ complete: true, acknowledged: 0, pending: 0, waitedMs: 0 });
});

test('a change is complete as soon as all who hold a lease have acknowledged it', async () => {
  registered = [lease('a'), lease('b')];
  const result = begin();
  await timers.advance(3);
  acknowledgements.note('a', REVISION);
  await timers.advance(4);
  expect(result.propagation).toBeUndefined();
  acknowledgements.note('b', REVISION);
  await timers.advance(0);
  expect(result.propagation).toEqual({ complete: true, acknowledged: 2, pending: 0, waitedMs: 7 });
  expect(readings).toBe(0);
});

test('a strict replica that says nothing is waited for until its lease, as it was read, has run out', async () => {
  registered = [lease('a'), lease('b', { leftMs: 1_200 })];
  const result = begin();
  await timers.advance(10);
  acknowledgements.note('a', REVISION);
  await timers.advance(1_189);
  expect(result.propagation).toBeUndefined();
  await timers.advance(1);
  expect(result.propagation).toEqual({ complete: true, acknowledged: 1, pending: 0, waitedMs: 1_200 });
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
  reply({ revision: REVISION, replicas: registered });
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
  expect(result.propagation).toEqual({ complete: true, acknowledged: 1, pending: 0, waitedMs: 1_000 });
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
