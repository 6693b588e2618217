import { expect, test } from 'vitest';
import type { AccessTime } from '../../../../src/secret/access/access-repository.js';
import { AccessTimes } from '../../../../src/secret/access/access-times.js';
import { createLogger } from '../../../../src/telemetry/logger.js';

const LOGGER = createLogger('fatal');

/** Recorder takes what is written, and leaves out the secrets that are locked. */
class Recorder {
  readonly written: AccessTime[][] = [];
  readonly locked = new Set<bigint>();
  fails = false;

  recordAccess(times: readonly AccessTime[]): Promise<bigint[]> {
    if (this.fails) return Promise.reject(new Error('no database'));
    this.written.push(times.filter(({ secretId }) => !this.locked.has(secretId)));
    return Promise.resolve(
      times.map(({ secretId }) => secretId).filter((secretId) => this.locked.has(secretId)),
    );
  }
}

function at(secretId: bigint, time: bigint): AccessTime {
  return { secretId, at: time };
}

test('accesses of one turn are one write, with the latest time of each secret once', async () => {
  const recorder = new Recorder();
  const times = new AccessTimes(recorder, LOGGER);
  await Promise.all([at(1n, 5n), at(2n, 1n), at(1n, 9n), at(1n, 7n)].map((time) => times.add(time)));
  expect(recorder.written).toEqual([[at(1n, 9n), at(2n, 1n)]]);
});

test('a secret that is being changed does not hold up others, and is written with a later one', async () => {
  const recorder = new Recorder();
  const times = new AccessTimes(recorder, LOGGER);
  recorder.locked.add(1n);
  await Promise.all([times.add(at(1n, 5n)), times.add(at(2n, 5n))]);
  expect(recorder.written).toEqual([[at(2n, 5n)]]);
  await times.add(at(1n, 4n));
  recorder.locked.clear();
  await times.add(at(3n, 6n));
  expect(recorder.written.at(-1)).toEqual([at(1n, 5n), at(3n, 6n)]);
});

test('what is late is written when the service stops, and nothing is written if nothing is', async () => {
  const recorder = new Recorder();
  const times = new AccessTimes(recorder, LOGGER);
  recorder.locked.add(1n);
  await times.add(at(1n, 5n));
  recorder.locked.clear();
  await times.stop();
  await times.stop();
  expect(recorder.written).toEqual([[], [at(1n, 5n)]]);
});

test('of more secrets than can be kept, those that were late first are given up', async () => {
  const recorder = new Recorder();
  const times = new AccessTimes(recorder, LOGGER);
  const ids = Array.from({ length: 12_000 }, (_, index) => BigInt(index + 1));
  for (const id of ids) recorder.locked.add(id);
  await Promise.all(ids.map((id) => times.add(at(id, id))));
  recorder.locked.clear();
  await times.stop();
  const kept = recorder.written.at(-1) ?? [];
  expect(kept.length).toBeGreaterThanOrEqual(9_000);
  expect(kept.length).toBeLessThanOrEqual(10_000);
  expect(kept).toEqual(ids.slice(-kept.length).map((id) => at(id, id)));
});

test('what is late survives a write that fails', async () => {
  const recorder = new Recorder();
  const times = new AccessTimes(recorder, LOGGER);
  recorder.locked.add(1n);
  await times.add(at(1n, 5n));
  recorder.fails = true;
  await times.flush();
  await expect(times.add(at(2n, 5n))).rejects.toThrow('no database');
  recorder.fails = false;
  recorder.locked.clear();
  await times.flush();
  expect(recorder.written.at(-1)).toEqual([at(1n, 5n)]);
});
