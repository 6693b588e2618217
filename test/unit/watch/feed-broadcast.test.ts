import { beforeEach, expect, test } from 'vitest';
import { FeedBroadcast, type FeedWatcher } from '../../../src/watch/feed-broadcast.js';
import type { Position, Start } from '../../../src/watch/feed-slice.js';
import { databaseUnavailable, stopping } from '../../../src/lib/errors.js';
import { ManualTimers, settled } from '../../support/manual-timers.js';
import { EPOCH, FakeFeed, LATER_EPOCH } from './feed-fixture.js';

let feed: FakeFeed;
let timers: ManualTimers;
let stop: AbortController;
let broadcast: FeedBroadcast;

beforeEach(() => {
  feed = new FakeFeed();
  timers = new ManualTimers();
  stop = new AbortController();
  broadcast = new FeedBroadcast(feed, timers, stop.signal);
});

function watch(start?: Start): Promise<FeedWatcher> {
  return broadcast.watch(start);
}

function at(revision: bigint, skip = 0): Position {
  return { epoch: EPOCH, revision, skip };
}

/** taken is what comes next, until nothing more does. */
async function taken(watcher: FeedWatcher): Promise<(bigint | undefined)[]> {
  const ids: (bigint | undefined)[] = [];
  for (;;) {
    const next = watcher.next(1);
    await settle();
    await timers.advance(1);
    const slice = await next;
    if (slice === undefined) return ids;
    ids.push(...slice.items.map(({ change }) => change.id));
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn += 1) await settled();
}

/** failureOf is what a watch ends with. */
function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

test('a watch from the present is told of what comes after it, and of that alone', async () => {
  feed.add(1, 1);
  const watcher = await watch();
  expect(watcher.position).toEqual(at(2n));
  expect(await taken(watcher)).toEqual([]);
  broadcast.wake(feed.add(2, 1));
  expect(await taken(watcher)).toEqual(feed.ids().slice(2));
  expect(watcher.position).toEqual(at(4n));
});

test('a watch from a position is told of everything after it, then of what comes', async () => {
  feed.add(1, 3, 1, 250);
  const watcher = await watch(at(1n, 2));
  expect(await taken(watcher)).toEqual(feed.ids().slice(3));
  broadcast.wake(feed.add(1));
  expect(await taken(watcher)).toEqual(feed.ids().slice(-1));
});

test('a watch that begins far back misses nothing of what others were told meanwhile', async () => {
  const live = await watch();
  for (let round = 0; round < 250; round += 1) broadcast.wake(feed.add(1));
  await taken(live);
  expect(await taken(await watch(at(0n)))).toEqual(feed.ids());
});

test('whoever goes on where another watch was gets the rest, whatever both were doing', async () => {
  const first = await watch();
  for (let round = 0; round < 50; round += 1) {
    broadcast.wake(feed.add(1 + ((round * 7) % 230)));
    if (round % 3 === 0) await taken(first);
    if (round % 5 !== 0) continue;
    const ids: (bigint | undefined)[] = [];
    let position = at(0n);
    while (position.revision < feed.latest.revision) {
      const watcher = await watch(position);
      const slice = await watcher.next(1_000);
      ids.push(...(slice?.items ?? []).map(({ change }) => change.id));
      position = watcher.position;
      watcher.close();
    }
    expect(ids).toEqual(feed.ids());
  }
});

test('the feed is read once for all who watch, and not at all where nothing happens', async () => {
  const watchers = await Promise.all(Array.from({ length: 200 }, () => watch()));
  const waiting = watchers.map((watcher) => watcher.next(60_000));
  await settle();
  feed.reads = 0;
  broadcast.wake(feed.add(3));
  const slices = await Promise.all(waiting);
  expect(new Set(slices).size).toBe(1);
  expect(slices[0]?.items).toHaveLength(3);
  expect(feed.reads).toBe(1);
  // Now and then it is looked whether a notice was lost.
  const again = watchers.map((watcher) => watcher.next(60_000));
  await timers.advance(50_000);
  expect(feed.reads).toBeLessThanOrEqual(1 + 10);
  feed.add(1);
  await timers.advance(5_000);
  for (const slice of await Promise.all(again)) expect(slice?.items).toHaveLength(1);
  for (const watcher of watchers) watcher.close();
  feed.reads = 0;
  broadcast.wake(feed.add(1));
  await timers.advance(60_000);
  expect(feed.reads).toBe(0);
});

test('a position before what is kept is refused with the oldest, one that was never reached with the latest', async () => {
  feed.add(1, 1, 1);
  feed.prune(2n);
  await expect(watch(at(1n))).rejects.toMatchObject({
    reason: 'REVISION_TOO_OLD',
    metadata: { oldest_revision: '2' },
  });
  await expect(watch(at(4n))).rejects.toMatchObject({
    reason: 'REVISION_IN_FUTURE',
    metadata: { latest_revision: '3' },
  });
  expect(await taken(await watch(at(2n)))).toEqual(feed.ids().slice(2));
});

test('a position of another epoch is refused, although there is such a revision', async () => {
  feed.add(1, 1, 1);
  feed.restore(1);
  feed.add(1, 1, 1);
  await expect(watch(at(2n))).rejects.toMatchObject({ reason: 'EPOCH_CHANGED' });
  const watcher = await watch({ epoch: undefined, revision: 2n, skip: 0 });
  expect(watcher.position).toEqual({ epoch: LATER_EPOCH, revision: 2n, skip: 0 });
  expect(await taken(watcher)).toEqual(feed.ids().slice(2));
});

test('in another epoch every watch ends, whatever the number of its revision, and new ones are told of all', async () => {
  feed.add(1, 1, 1);
  const watchers = [await watch(), await watch(at(1n))];
  for (const watcher of watchers) await taken(watcher);
  const waiting = watchers.map((watcher) => failureOf(watcher.next(60_000)));
  feed.restore(1);
  broadcast.wake(feed.add(1, 1, 1));
  for (const ended of waiting) expect(await ended).toMatchObject({ reason: 'EPOCH_CHANGED' });
  feed.reads = 0;
  const watcher = await watch();
  broadcast.wake(feed.add(1));
  expect(await taken(watcher)).toEqual(feed.ids().slice(-1));
  expect(feed.reads).toBeLessThan(5);
});

test('who begins in another epoch does not go on with those who have not noticed', async () => {
  feed.add(1);
  const before = await watch();
  await taken(before);
  feed.restore(0);
  feed.add(1);
  const after = await watch();
  broadcast.wake(feed.add(1));
  expect(await taken(after)).toEqual(feed.ids().slice(1));
  expect(await failureOf(before.next(1))).toMatchObject({ reason: 'EPOCH_CHANGED' });
});

test('a watcher too far behind the others is ended, and one that is not goes on', async () => {
  const [fast, slow, slower] = [await watch(), await watch(), await watch()];
  for (const watcher of [fast, slow, slower]) await taken(watcher);
  slow.sending(true);
  slower.sending(true);
  for (let round = 0; round < 20; round += 1) {
    broadcast.wake(feed.add(1_000));
    await taken(fast);
  }
  slow.sending(false);
  expect(await taken(slow)).toEqual(feed.ids());
  broadcast.wake(feed.add(1));
  await taken(fast);
  expect(await failureOf(slower.next(1))).toMatchObject({ reason: 'WATCH_TOO_SLOW' });
  broadcast.wake(feed.add(1));
  for (const watcher of [fast, slow]) expect((await taken(watcher)).at(-1)).toBe(feed.ids().at(-1));
});

test('a sole watcher whose client takes nothing is ended as well', async () => {
  const watcher = await watch();
  await taken(watcher);
  watcher.sending(true);
  for (let round = 0; round < 300; round += 1) broadcast.wake(feed.add(100));
  await timers.advance(10_000);
  await settle();
  expect(await failureOf(watcher.next(1))).toMatchObject({ reason: 'WATCH_TOO_SLOW' });
});

test('a watcher that takes what comes is not ended, however much comes at once', async () => {
  const watcher = await watch();
  await taken(watcher);
  broadcast.wake(feed.add(...Array.from({ length: 30 }, () => 3_000)));
  expect(await taken(watcher)).toHaveLength(90_000);
});

test('a watch that is closed ends at once, also while it waits', async () => {
  const watcher = await watch();
  const waiting = failureOf(watcher.next(60_000));
  await settle();
  watcher.close();
  expect(await waiting).toBeInstanceOf(Error);
});

test('where the feed cannot be read every watch ends, and a later one begins when it can', async () => {
  const [one, other] = [await watch(), await watch()];
  const waiting = [one.next(60_000), other.next(60_000)].map(failureOf);
  await settle();
  feed.failure = databaseUnavailable();
  await expect(watch()).rejects.toBe(feed.failure);
  await timers.advance(5_000);
  expect(await Promise.all(waiting)).toEqual([feed.failure, feed.failure]);
  feed.failure = undefined;
  feed.add(1);
  expect(await taken(await watch(at(0n)))).toEqual(feed.ids());
});

test('when the service stops every watch ends, also one that still reads what it missed, and none begins', async () => {
  feed.add(1);
  const [live, behind] = [await watch(), await watch(at(0n))];
  const waiting = failureOf(live.next(60_000));
  await settle();
  const reason = stopping();
  stop.abort(reason);
  expect(await waiting).toBe(reason);
  expect(await failureOf(behind.next(1))).toBe(reason);
  await expect(watch()).rejects.toBe(reason);
});
