import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KeywardClient } from '../../../src/client/index.js';
import { Gate } from '../campaign/gate.js';
import { Recorder, type Fault } from '../campaign/history.js';
import { Calls } from './calls.js';
import { Cell, type Place } from './cells.js';
import { grown, type Resources } from './resources.js';

const KIND = { name: 'GetToken', boundMs: 4_000 };
const ONE = {} as KeywardClient;

let recorder: Recorder;
let calls: Calls;

beforeEach(() => {
  recorder = new Recorder();
  calls = new Calls(recorder);
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

test('what a replica holds more than after the first minute is told', () => {
  const before: Resources = { memory: 40e6, resident: 150e6, descriptors: 100, connections: 11 };
  const after: Resources = { memory: 60e6, resident: 150e6, descriptors: 111, connections: 13 };
  expect(grown([before], [after])).toEqual([
    'replica 0: memory 60000000, was 40000000',
    'replica 0: descriptors 111, was 100',
    'replica 0: connections 13, was 11',
  ]);
});
