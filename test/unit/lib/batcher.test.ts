import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Batcher, writing } from '../../../src/lib/batcher.js';

interface Write {
  readonly items: readonly number[];
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** controlled is a batcher whose writes end when a test says so. */
function controlled(maxItems = 100): { readonly group: Batcher<number, void>; readonly writes: Write[] } {
  const writes: Write[] = [];
  const group = new Batcher(
    writing<number>((items) => new Promise((resolve, reject) => writes.push({ items, resolve, reject }))),
    { maxItems },
  );
  return { group, writes };
}

/** settled lets everything run that does not wait for a write. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

const OK = { status: 'fulfilled', value: undefined };

test('what arrives while a write is under way goes into the next one, together and in order', async () => {
  const { group, writes } = controlled();
  const first = group.add(1);
  await settled();
  const others = [group.add(2), group.add(3)];
  await settled();
  expect(writes.map(({ items }) => items)).toEqual([[1]]);
  writes[0]?.resolve();
  await first;
  await settled();
  expect(writes.map(({ items }) => items)).toEqual([[1], [2, 3]]);
  writes[1]?.resolve();
  expect(await Promise.allSettled(others)).toEqual([OK, OK]);
});

test('nothing is said to be written before its write has ended', async () => {
  const { group, writes } = controlled();
  let isDone = false;
  const added = group.add(1).then(() => (isDone = true));
  await settled();
  expect(isDone).toBe(false);
  writes[0]?.resolve();
  await added;
});

test('a write that fails fails exactly those whose item it had, and later items are written', async () => {
  const { group, writes } = controlled();
  const first = Promise.allSettled([group.add(1), group.add(2)]);
  await settled();
  const second = group.add(3);
  const failure = new Error('no');
  writes[0]?.reject(failure);
  expect(await first).toEqual([
    { status: 'rejected', reason: failure },
    { status: 'rejected', reason: failure },
  ]);
  await settled();
  writes[1]?.resolve();
  await second;
  const third = group.add(4);
  await settled();
  writes[2]?.resolve();
  await third;
});

test('a writer that throws at once is a write that failed', async () => {
  const group = new Batcher<number, void>(
    () => {
      throw new Error('at once');
    },
    { maxItems: 10 },
  );
  await expect(group.add(1)).rejects.toThrow('at once');
  await expect(group.add(2)).rejects.toThrow('at once');
});

test('whatever arrives when, there are no more writes at a time than may be, of at most so many items, of each item once and in order', async () => {
  const arrivals = fc.array(fc.record({ items: fc.nat(8), fails: fc.boolean() }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(
      arrivals,
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 3 }),
      async (rounds, most, maxBatches) => {
        let running = 0;
        const written: number[] = [];
        const refused: number[] = [];
        const fails = rounds.map((round) => round.fails);
        const group = new Batcher(
          writing<number>(async (items) => {
            running += 1;
            expect(running).toBeLessThanOrEqual(maxBatches);
            expect(items.length).toBeGreaterThan(0);
            expect(items.length).toBeLessThanOrEqual(most);
            await Promise.resolve();
            running -= 1;
            if (fails.shift() === true) {
              refused.push(...items);
              throw new Error('refused');
            }
            written.push(...items);
          }),
          { maxItems: most, maxBatches },
        );
        let next = 0;
        const results: Promise<{ item: number; isWritten: boolean }>[] = [];
        for (const { items } of rounds) {
          for (let count = 0; count < items; count += 1) {
            const item = next++;
            results.push(
              group.add(item).then(
                () => ({ item, isWritten: true }),
                () => ({ item, isWritten: false }),
              ),
            );
          }
          await Promise.resolve();
        }
        const outcomes = await Promise.all(results);
        const told = (isWritten: boolean) =>
          outcomes.filter((outcome) => outcome.isWritten === isWritten).map(({ item }) => item);
        expect(told(true)).toEqual(written);
        expect(told(false)).toEqual(refused);
      },
    ),
  );
});

test('each item gets its own result, by work that began after it came', async () => {
  const batches: { items: readonly number[]; answer: () => void }[] = [];
  const batcher = new Batcher<number, string>(
    (items) =>
      new Promise((resolve) =>
        batches.push({
          items,
          answer: () => {
            resolve(items.map(String));
          },
        }),
      ),
    { maxItems: 10 },
  );
  const first = batcher.add(1);
  await settled();
  const later = [2, 3, 4].map((item) => batcher.add(item));
  batches[0]?.answer();
  expect(await first).toBe('1');
  await settled();
  batches[1]?.answer();
  expect(await Promise.all(later)).toEqual(['2', '3', '4']);
  expect(batches.map(({ items }) => items)).toEqual([[1], [2, 3, 4]]);
});

test('work that has not one result for each item fails', async () => {
  const batcher = new Batcher<number, number>(() => Promise.resolve([]), { maxItems: 10 });
  await expect(batcher.add(1)).rejects.toThrow('one result for each item');
});

test('as many batches go on at once as may be', async () => {
  const batches: (readonly number[])[] = [];
  const batcher = new Batcher<number, never>(
    (items) => {
      batches.push(items);
      return new Promise(() => undefined);
    },
    { maxItems: 10, maxBatches: 2 },
  );
  for (const item of [1, 2, 3, 4]) {
    void batcher.add(item);
    await settled();
  }
  expect(batches).toEqual([[1], [2]]);
});
