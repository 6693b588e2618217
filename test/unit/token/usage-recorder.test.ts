import { beforeEach, expect, test, vi } from 'vitest';
import type { Instant } from '../../../src/lib/instant.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { UsageRecorder } from '../../../src/token/usage-recorder.js';

interface Write {
  readonly uses: readonly { readonly tokenId: bigint; readonly usedAt: Instant }[];
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const KEY = '0a1b2c3d-0000-4000-8000-00000000beef';

let writes: Write[];
let log: string[];
let recorder: UsageRecorder;

beforeEach(() => {
  writes = [];
  log = [];
  const tokens = {
    idsOfKeys: (keyIds: readonly string[]) =>
      Promise.resolve(new Map(keyIds.flatMap((keyId) => (keyId === KEY ? [[keyId, 77n] as const] : [])))),
    recordUse: (uses: Write['uses']) =>
      new Promise<void>((resolve, reject) => {
        writes.push({ uses, resolve, reject });
      }),
  };
  recorder = new UsageRecorder(tokens, createLogger('warn', { write: (line) => void log.push(line) }));
});

function used(tokenId: bigint): { tokenId: bigint; usedAt: number } {
  return { tokenId, usedAt: 0 };
}

async function writing(index: number): Promise<Write> {
  return vi.waitFor(() => {
    const write = writes[index];
    if (write === undefined) throw new Error('nothing is written yet');
    return write;
  });
}

test('what clients report counts with the rest, and keys that nobody has do not', async () => {
  recorder.report(KEY, 2_000);
  recorder.report('00000000-0000-4000-8000-000000000000', 3_000);
  recorder.record(used(77n), 1_000);
  const flushed = recorder.flush();
  const { uses, resolve } = await writing(0);
  expect(uses).toEqual([{ tokenId: 77n, usedAt: 2_000_000n }]);
  resolve();
  await flushed;
});

test('the latest use of each token is written once, in the order of ids so that writers do not deadlock', async () => {
  const [second, first] = [used(2n), used(1n)];
  recorder.record(second, 1_000);
  recorder.record(first, 2_000);
  recorder.record(second, 3_000);
  // A record that replaces another of the same token in the cache.
  recorder.record(used(2n), 2_500);
  const flushed = recorder.flush();
  const { uses, resolve } = await writing(0);
  expect(uses).toEqual([
    { tokenId: 1n, usedAt: 2_000_000n },
    { tokenId: 2n, usedAt: 3_000_000n },
  ]);
  resolve();
  await flushed;
  await recorder.flush();
  expect(writes).toHaveLength(1);
});

test('a use while the one before is being written is written the next time', async () => {
  const record = used(1n);
  recorder.record(record, 1_000);
  const first = recorder.flush();
  const write = await writing(0);
  recorder.record(record, 2_000);
  const second = recorder.flush();
  expect(writes).toHaveLength(1);
  write.resolve();
  await first;
  const next = await writing(1);
  expect(next.uses).toEqual([{ tokenId: 1n, usedAt: 2_000_000n }]);
  next.resolve();
  await second;
});

test('what cannot be written is kept, never put before a later use, and logged', async () => {
  const record = used(1n);
  recorder.record(record, 1_000);
  recorder.record(used(2n), 1_000);
  const failed = recorder.flush();
  const write = await writing(0);
  recorder.record(record, 2_000);
  write.reject(new Error('the database is gone'));
  await failed;
  expect(log.join('')).toContain('times of use are kept for the next write');
  const flushed = recorder.flush();
  const next = await writing(1);
  expect(next.uses).toEqual([
    { tokenId: 1n, usedAt: 2_000_000n },
    { tokenId: 2n, usedAt: 1_000_000n },
  ]);
  next.resolve();
  await flushed;
});

test('many uses are written in batches; those after a failed batch are kept too', async () => {
  for (let id = 1n; id <= 2_500n; id += 1n) recorder.record(used(id), 1_000);
  const failed = recorder.flush();
  (await writing(0)).resolve();
  const second = await writing(1);
  expect(second.uses).toHaveLength(1_000);
  second.reject(new Error('the database is gone'));
  await failed;
  const flushed = recorder.flush();
  const third = await writing(2);
  third.resolve();
  const fourth = await writing(3);
  expect([...third.uses, ...fourth.uses].map(({ tokenId }) => Number(tokenId))).toEqual(
    Array.from({ length: 1_500 }, (_, index) => index + 1_001),
  );
  fourth.resolve();
  await flushed;
});

test('what cannot be written does not pile up: neither the uses of a token, nor tokens without end', async () => {
  const ids: bigint[] = [];
  let fails = true;
  const tokens = {
    idsOfKeys: () => Promise.resolve(new Map<string, bigint>()),
    recordUse: (uses: Write['uses']) => {
      if (fails) return Promise.reject(new Error('the database is gone'));
      ids.push(...uses.map(({ tokenId }) => tokenId));
      return Promise.resolve();
    },
  };
  recorder = new UsageRecorder(tokens, createLogger('warn', { write: (line) => void log.push(line) }));
  // Each answer has a record of its own, as where nothing is cached.
  for (let answer = 0; answer < 46_000; answer += 1) recorder.record(used(BigInt(answer % 100)), answer + 1);
  await recorder.flush();
  expect(log.at(-1)).toContain('"tokens":100,"dropped":0');
  for (let id = 1n; id <= 150_000n; id += 1n) recorder.record(used(id), 100_000);
  await recorder.flush();
  const kept = Number(/"tokens":(\d+)/.exec(log.at(-1) ?? '')?.[1]);
  expect(kept).toBeGreaterThanOrEqual(90_000);
  expect(kept).toBeLessThanOrEqual(100_000);
  fails = false;
  await recorder.flush();
  expect(ids).toEqual(Array.from({ length: kept }, (_, index) => BigInt(150_001 - kept + index)));
});

test('uses are written at every interval, and what is left when it stops', async () => {
  vi.useFakeTimers();
  try {
    recorder.start(5_000);
    recorder.record(used(1n), 1_000);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(writes).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(writes).toHaveLength(1);
    writes[0]?.resolve();
    recorder.record(used(2n), 2_000);
    const stopped = recorder.stop();
    await vi.advanceTimersByTimeAsync(0);
    expect(writes[1]?.uses).toEqual([{ tokenId: 2n, usedAt: 2_000_000n }]);
    writes[1]?.resolve();
    await stopped;
    recorder.record(used(3n), 3_000);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(writes).toHaveLength(2);
  } finally {
    vi.useRealTimers();
  }
});
