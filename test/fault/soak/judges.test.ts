import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KeywardClient } from '../../../src/client/index.js';
import { Gate } from '../campaign/gate.js';
import { Recorder, type Fault } from '../campaign/history.js';
import { Calls } from './calls.js';
import { Cell, type Place } from './cells.js';
import { CoreWaits } from './core-waits.js';
import { Kept } from './kept.js';
import { Listing } from './listing.js';
import { grown, type Resources } from './resources.js';
import { misTold, type Written } from './told.js';

const KIND = { name: 'GetToken', boundMs: 4_000 };
const ONE = {} as KeywardClient;

let recorder: Recorder;
let calls: Calls;
let waitedForCore: number;

beforeEach(() => {
  recorder = new Recorder();
  waitedForCore = 0;
  calls = new Calls(recorder, { between: () => waitedForCore });
});

afterEach(() => {
  recorder.close();
});

describe('a call that took longer than its kind may', () => {
  const late = { kind: KIND, replica: 1, startedAt: 0, endedAt: 6_000, code: 'UNAVAILABLE' };
  const fault = (kind: Fault['kind'], replica: number | undefined, endedAt: number): Fault => ({
    kind,
    replica,
    startedAt: 0,
    endedAt,
  });

  test.each<readonly [string, readonly Fault[], number]>([
    ['is late', [], 1],
    ['is late while the database is away', [fault('PostgreSQL killed', undefined, 6_000)], 1],
    ['is late while another replica is paused', [fault('replica paused', 0, 6_000)], 1],
    ['is late where its replica was paused for a shorter time', [fault('replica paused', 1, 400)], 1],
    ['is excused while its replica is paused', [fault('replica paused', 1, 3_000)], 0],
    ['is excused where the soak stood still', [fault('campaign stalled', undefined, 3_000)], 0],
  ])('%s', (_, faults, count) => {
    recorder.faults.push(...faults);
    calls.add(late);
    expect(calls.unexcused()).toHaveLength(count);
  });
});

test('what a call took longer than it may is excused by what replicas waited for a core meanwhile, and by no more', () => {
  calls.add({ kind: KIND, replica: 1, startedAt: 0, endedAt: 6_000, code: 'OK' });
  waitedForCore = 1_900;
  expect(calls.unexcused()).toHaveLength(1);
  waitedForCore = 2_100;
  expect(calls.unexcused()).toEqual([]);
});

test('replicas wait for cores one beside the other, and a new process of one goes on where the last one ended', async () => {
  let now = 0;
  let pids: readonly (number | undefined)[] = [1, 2];
  const waited = new Map([
    [1, 100],
    [2, 500],
    [3, 7],
  ]);
  const waits = new CoreWaits(
    () => pids,
    () => now,
    (pid) => Promise.resolve(waited.get(pid) ?? 0),
  );
  const passed = async (ms: number, of: Readonly<Record<number, number>>) => {
    now += ms;
    for (const [pid, more] of Object.entries(of))
      waited.set(Number(pid), (waited.get(Number(pid)) ?? 0) + more);
    await waits.sample();
  };
  await passed(0, {});
  await passed(200, { 1: 50, 2: 20 });
  await passed(200, { 1: 10, 2: 60 });
  expect(waits.between(0, 200)).toBe(50);
  expect(waits.between(0, 400)).toBe(80);
  pids = [1, undefined];
  await passed(200, { 1: 5 });
  pids = [1, 3];
  await passed(200, {});
  await passed(200, { 3: 40 });
  expect(waits.between(400, 1_000)).toBe(40);
  expect(waits.between(0, Infinity)).toBe(120);
});

describe('a value', () => {
  /** placeOf is a place whose value one may change unseen. */
  const placeOf = (kept: { value: string }): Place => ({
    name: 'token',
    clients: [ONE],
    read: () => Promise.resolve({ value: kept.value, etag: '' }),
    write: (_client, value) => {
      kept.value = value;
      return Promise.resolve();
    },
  });

  test('that is not the last acknowledged one is a contradiction, unless the database was taken back to it', async () => {
    const kept = { value: 'value 0' };
    const cell = new Cell({ place: placeOf(kept), calls, gate: new Gate(), seed: 1 });
    const takeBack = cell.remember();
    await cell.run(() => cell.acknowledged === 1);
    expect(kept.value).toBe('value 1');
    await cell.check(0);
    expect(cell.contradictions).toEqual([]);
    kept.value = 'value 0';
    await cell.check(0);
    expect(cell.contradictions).toEqual(['token through replica 0: value 0 instead of value 1']);
    takeBack();
    await cell.check(0);
    expect(cell.contradictions).toHaveLength(1);
  });
});

test('a row that is always there must be in a list once, whatever comes and goes', () => {
  const listing = new Listing();
  expect(listing.add({ ids: [1n, 2n], next: 'more' }, [1n, 3n, 4n])).toBeUndefined();
  expect(listing.add({ ids: [2n, 3n, 3n], next: '' }, [1n, 3n, 4n])).toEqual([
    '3 is there 2 times',
    '4 is there 0 times',
  ]);
  listing.add({ ids: [5n], next: 'more' }, []);
  expect(listing.add({ ids: [6n], next: '' }, [5n, 6n])).toEqual([]);
});

test('a value in a batch that is not the one kept is told, and one that is missing', async () => {
  let id = 0n;
  const createSecret = () => Promise.resolve({ secret: { id: (id += 1n) } });
  const client = { secrets: { createSecret } } as unknown as KeywardClient;
  const kept = await Kept.make(client, 1n, 2);
  const access = (text: string) => ({
    result: {
      $case: 'access' as const,
      value: {
        payload: { value: { $case: 'text' as const, value: text } },
        secretId: 0n,
        version: 1,
      } as never,
    },
  });
  expect(kept.wrongIn([access('kept value 1'), access('kept value 2')])).toEqual([]);
  expect(kept.wrongIn([access('kept value 2'), { result: undefined }])).toEqual([
    '"kept value 2" instead of "kept value 1"',
    'no access to "kept value 2": nothing',
  ]);
  expect(kept.wrongIn([])).toEqual(['0 of 2 results']);
});

describe('of what was written while it followed, a watch', () => {
  const written: Written = {
    upTo: 8n,
    ids: new Map([
      [
        'token',
        new Map([
          [4n, [1n]],
          [5n, [1n, 2n]],
          [8n, [3n]],
          [9n, [3n]],
        ]),
      ],
    ]),
  };
  const told = (from: bigint, to: bigint, ...events: readonly (readonly [bigint, readonly bigint[]])[]) =>
    misTold(
      {
        kind: 'token',
        from: { epoch: 'e', revision: from },
        to: { epoch: 'e', revision: to },
        events: new Map(events),
      },
      written,
    );

  test('must tell everything once, as far as it has come and the feed is known', () => {
    expect(told(4n, 10n, [5n, [2n, 1n]], [8n, [3n]])).toEqual([]);
    expect(told(4n, 6n, [5n, [2n, 1n]])).toEqual([]);
  });

  test('must neither pass over, nor repeat, nor invent anything', () => {
    expect(told(3n, 5n, [5n, [1n, 2n]])).toEqual(['token at e:4: told [] of [1]']);
    expect(told(4n, 5n, [5n, [1n]])).toEqual(['token at e:5: told [1] of [1 2]']);
    expect(told(4n, 5n, [5n, [1n, 2n, 2n]])).toEqual(['token at e:5: told [1 2 2] of [1 2]']);
    expect(told(5n, 7n, [6n, [1n]])).toEqual(['token at e:6: told [1] of []']);
  });
});

test('what a replica holds more than after the first minute is told', () => {
  const before: Resources = { memory: 40e6, resident: 150e6, descriptors: 100, connections: 11 };
  const after: Resources = { memory: 60e6, resident: 150e6, descriptors: 111, connections: 13 };
  expect(grown([before], [after])).toEqual([
    'replica 0: memory 60000000, was 40000000',
    'replica 0: descriptors 111, was 100',
    'replica 0: connections 13, was 11',
  ]);
});
