import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GroupCommit } from '../../../src/lib/group-commit.js';

interface Write {
  readonly items: readonly number[];
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** controlled is a group commit whose writes end when a test says so. */
function controlled(mostItems = 100): { readonly group: GroupCommit<number>; readonly writes: Write[] } {
  const writes: Write[] = [];
  const group = new GroupCommit<number>(
    (items) => new Promise((resolve, reject) => writes.push({ items, resolve, reject })),
    mostItems,
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
  const group = new GroupCommit<number>(() => {
    throw new Error('at once');
  }, 10);
  await expect(group.add(1)).rejects.toThrow('at once');
  await expect(group.add(2)).rejects.toThrow('at once');
});

test('whatever arrives when, there is one write at a time, of at most so many items, of each item once and in order', async () => {
  const arrivals = fc.array(fc.record({ items: fc.nat(8), fails: fc.boolean() }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(arrivals, fc.integer({ min: 1, max: 5 }), async (rounds, most) => {
      let writing = 0;
      const written: number[] = [];
      const refused: number[] = [];
      const fails = rounds.map((round) => round.fails);
      const group = new GroupCommit<number>(async (items) => {
        writing += 1;
        expect(writing).toBe(1);
        expect(items.length).toBeGreaterThan(0);
        expect(items.length).toBeLessThanOrEqual(most);
        await Promise.resolve();
        writing -= 1;
        if (fails.shift() === true) {
          refused.push(...items);
          throw new Error('refused');
        }
        written.push(...items);
      }, most);
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
    }),
  );
});
