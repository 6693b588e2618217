import { beforeEach, describe, expect, test } from 'vitest';
import { Lease } from '../../../src/coherence/lease.js';
import { OutagePolicy, type Answer } from '../../../src/coherence/outage-policy.js';
import { KeywardError } from '../../../src/lib/errors.js';
import { ManualTimers } from '../../support/manual-timers.js';

const MAX_STALE_MS = 60_000;
const LIMIT_MS = 5_000;
const UNAVAILABLE = new KeywardError('DATABASE_UNAVAILABLE', 'The database is out of reach.');

let timers: ManualTimers;
let lease: Lease;
let memory: Map<string, string>;
let database: () => Promise<string | null>;
let asked: string[];
let policy: OutagePolicy<string>;

beforeEach(() => {
  timers = new ManualTimers();
  memory = new Map([['a', 'remembered']]);
  database = () => Promise.resolve('fresh');
  asked = [];
  usePolicy(MAX_STALE_MS);
});

function usePolicy(maxStaleMs: number): void {
  lease = new Lease(timers, maxStaleMs);
  lease.extend(lease.moment());
  const source = {
    lookUp: (digest: string) => memory.get(digest),
    load: (digest: string) => {
      asked.push(`load ${digest}`);
      return database();
    },
    ask: (digest: string) => {
      asked.push(`ask ${digest}`);
      return database();
    },
    recall: (digest: string) => memory.get(digest),
  };
  policy = new OutagePolicy(source, lease, timers, LIMIT_MS);
}

function begin(digest: string): { answer?: Answer<string>; error?: unknown } {
  const result: { answer?: Answer<string>; error?: unknown } = {};
  policy.get(digest).then(
    (answer) => {
      result.answer = answer;
    },
    (error: unknown) => {
      result.error = error;
    },
  );
  return result;
}

function loseLease(): void {
  timers.stall(2_900);
}

describe('under the lease', () => {
  test('memory answers, and the database is asked for what is not remembered, by a query that may be under way', async () => {
    expect(policy.lookUp('a', 0)).toBe('remembered');
    expect(await policy.get('a')).toEqual({ record: 'remembered', stale: false });
    expect(await policy.get('b')).toEqual({ record: 'fresh', stale: false });
    expect(asked).toEqual(['load b']);
  });
});

describe('without the lease', () => {
  beforeEach(loseLease);

  test('memory is not asked; the database is, by a query that begins now, and its answer is not stale', async () => {
    expect(policy.lookUp('a', 0)).toBeUndefined();
    expect(await policy.get('a')).toEqual({ record: 'fresh', stale: false });
    expect(asked).toEqual(['ask a']);
  });

  test('memory answers, marked as stale, if the database is out of reach', async () => {
    database = () => Promise.reject(UNAVAILABLE);
    expect(await policy.get('a')).toEqual({ record: 'remembered', stale: true });
  });

  test('memory answers, marked as stale, if the database takes more than 250 ms; then others need not wait', async () => {
    database = () => new Promise(() => undefined);
    const result = begin('a');
    await timers.advance(249);
    expect(result.answer).toBeUndefined();
    await timers.advance(1);
    expect(result.answer).toEqual({ record: 'remembered', stale: true });
    expect(await policy.get('a')).toEqual({ record: 'remembered', stale: true });
    expect(asked).toEqual(['ask a']);
  });

  test('time in which the event loop stood still is not the database’s: an answer that came meanwhile is not stale', async () => {
    let answer: (record: string) => void = () => undefined;
    database = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const result = begin('a');
    await timers.advance(0);
    timers.stall(600);
    await timers.advance(0);
    expect(result).toEqual({});
    answer('fresh');
    await timers.advance(0);
    expect(result.answer).toEqual({ record: 'fresh', stale: false });
  });

  test('one call at a time finds out whether the database is back; then it answers again', async () => {
    database = () => Promise.reject(UNAVAILABLE);
    await policy.get('a');
    database = () => Promise.resolve('fresh');
    expect((await policy.get('a')).stale).toBe(true);
    await timers.advance(0);
    expect(await policy.get('a')).toEqual({ record: 'fresh', stale: false });
  });

  test('what is not remembered is UNAVAILABLE once the database has not answered in its time, whatever it waits for', async () => {
    database = () => new Promise(() => undefined);
    const result = begin('b');
    await timers.advance(LIMIT_MS - 1);
    expect(result).toEqual({});
    await timers.advance(1);
    expect(result.error).toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
  });

  test('what is not remembered, or is known to be unknown, is UNAVAILABLE and never stale', async () => {
    database = () => Promise.reject(UNAVAILABLE);
    await expect(policy.get('b')).rejects.toBe(UNAVAILABLE);
    await policy.get('a');
    await expect(policy.get('b')).rejects.toBe(UNAVAILABLE);
  });

  test('what is evicted while the database is waited for is not answered from memory', async () => {
    let refuse: (error: Error) => void = () => undefined;
    database = () =>
      new Promise((_resolve, reject) => {
        refuse = reject;
      });
    const result = begin('a');
    await timers.advance(100);
    memory.clear();
    await timers.advance(200);
    expect(result).toEqual({});
    refuse(UNAVAILABLE);
    await timers.advance(0);
    expect(result).toEqual({ error: UNAVAILABLE });
  });

  test('stale answers end with their time', async () => {
    database = () => Promise.reject(UNAVAILABLE);
    timers.stall(MAX_STALE_MS - 1);
    expect((await policy.get('a')).stale).toBe(true);
    timers.stall(1);
    await expect(policy.get('a')).rejects.toBe(UNAVAILABLE);
  });

  test('an error that is not the database being away is no reason for a stale answer', async () => {
    const bug = new Error('bug');
    database = () => Promise.reject(bug);
    await expect(policy.get('a')).rejects.toBe(bug);
  });
});

test('in strict mode nothing is answered from memory without the lease', async () => {
  usePolicy(0);
  loseLease();
  database = () => Promise.reject(UNAVAILABLE);
  await expect(policy.get('a')).rejects.toBe(UNAVAILABLE);
});
