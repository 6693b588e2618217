import { beforeEach, expect, test } from 'vitest';
import { PIECE } from '../../../src/lib/page-size.js';
import { FeedBroadcast } from '../../../src/watch/feed-broadcast.js';
import type { FeedItem, FeedSlice } from '../../../src/watch/feed-slice.js';
import { watchFeed, type FeedEvent, type News } from '../../../src/watch/feed-watch.js';
import { ManualTimers, settled } from '../../support/manual-timers.js';
import { EPOCH, FakeFeed } from './feed-fixture.js';

const HEARTBEAT_MS = 15_000;

let feed: FakeFeed;
let timers: ManualTimers;
let broadcast: FeedBroadcast;
/** What came, with the time at which it did. */
let told: { readonly at: number; readonly news: News<FeedEvent> }[];
let startedAt: number;
let gone: AbortController;
/** What the watch ended with. */
let end: unknown;

beforeEach(() => {
  feed = new FakeFeed();
  timers = new ManualTimers();
  broadcast = new FeedBroadcast(feed, timers, new AbortController().signal);
  told = [];
  end = undefined;
  gone = new AbortController();
  startedAt = timers.monotonicMs();
});

/** follow watches, and keeps what comes. To look at some changes takes so many milliseconds. */
async function follow(toEvent: (item: FeedItem) => readonly FeedEvent[], selectMs = 0): Promise<void> {
  const select = async (slice: FeedSlice | undefined) => {
    if (slice !== undefined && selectMs > 0)
      await new Promise<void>((resolve) => timers.after(selectMs, resolve));
    return slice?.items.flatMap(toEvent) ?? [];
  };
  const options = { start: undefined, heartbeatMs: HEARTBEAT_MS };
  const watching = watchFeed({ broadcast, timers }, options, select, gone.signal);
  const keep = async () => {
    for await (const news of watching) told.push({ at: timers.monotonicMs() - startedAt, news });
  };
  keep().catch((error: unknown) => (end = error));
  await settle();
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await settled();
}

const updated = (bytes: number) => (item: FeedItem) => [{ type: 'UPDATED' as const, item, bytes }];

test('silence is broken at the interval, measured from the last message', async () => {
  feed.add(1);
  await follow(updated(1));
  await timers.advance(10_000);
  broadcast.wake(feed.add(1));
  await settle();
  await timers.advance(40_000);
  expect(told.map(({ at, news }) => [at, news.events.length, news.position.revision])).toEqual([
    [0, 0, 1n],
    [10_000, 1, 2n],
    [25_000, 0, 2n],
    [40_000, 0, 2n],
  ]);
});

test('changes that are not told do not put off the breaking of silence, which tells how far they went', async () => {
  await follow(() => []);
  for (let second = 1; second <= 31; second += 1) {
    await timers.advance(1_000);
    broadcast.wake(feed.add(1));
    await settle();
  }
  expect(told.map(({ at }) => at)).toEqual([0, 15_000, 30_000]);
  expect(told.map(({ news }) => news.position.revision)).toEqual([0n, 14n, 29n]);
});

test('nor do so many of them that there is no silence', async () => {
  await follow(() => [], 1_000);
  broadcast.wake(feed.add(40 * PIECE));
  await settle();
  for (let second = 1; second <= 40; second += 1) {
    await timers.advance(1_000);
    await settle();
  }
  expect(told.map(({ at, news }) => [at, news.position])).toEqual([
    [0, { epoch: EPOCH, revision: 0n, skip: 0 }],
    [15_000, { epoch: EPOCH, revision: 0n, skip: 15 * PIECE }],
    [30_000, { epoch: EPOCH, revision: 0n, skip: 30 * PIECE }],
  ]);
});

test('what would be too large for one message comes in several, each of which can be gone on from', async () => {
  await follow(updated(400_000));
  broadcast.wake(feed.add(5));
  await settle();
  expect(told.map(({ news }) => [news.events.length, news.position])).toEqual([
    [0, { epoch: EPOCH, revision: 0n, skip: 0 }],
    [2, { epoch: EPOCH, revision: 0n, skip: 2 }],
    [2, { epoch: EPOCH, revision: 0n, skip: 4 }],
    [1, { epoch: EPOCH, revision: 1n, skip: 0 }],
  ]);
});

test('a watch whose client goes ends at once, however long silence may be', async () => {
  await follow(updated(1));
  expect(end).toBeUndefined();
  gone.abort();
  await settle();
  expect(end).toBeInstanceOf(Error);
  feed.reads = 0;
  broadcast.wake(feed.add(1));
  await timers.advance(60_000);
  expect(feed.reads).toBe(0);
});
