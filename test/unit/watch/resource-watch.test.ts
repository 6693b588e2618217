import { beforeEach, expect, test, vi } from 'vitest';
import type { Caller } from '../../../src/authz/caller.js';
import { ResourceWatch, type ResourceEvent } from '../../../src/watch/resource-watch.js';
import { WatcherRights } from '../../../src/authz/watcher-rights.js';
import { PIECE } from '../../../src/lib/page-size.js';
import { FeedBroadcast } from '../../../src/watch/feed-broadcast.js';
import type { News } from '../../../src/watch/feed-watch.js';
import { ManualTimers, settled } from '../../support/manual-timers.js';
import { FakeFeed } from './feed-fixture.js';

type Messages = AsyncIterator<News<ResourceEvent<never>>>;

let feed: FakeFeed;
let timers: ManualTimers;
let broadcast: FeedBroadcast;
let watch: ResourceWatch<never, object>;
/** The users of each statement that read rights. */
let asked: bigint[][];
/** How many resources were read together, each time. */
let reads: number[];
/** Who may know of the changes. */
let superusers: Set<bigint>;

beforeEach(() => {
  feed = new FakeFeed();
  timers = new ManualTimers();
  broadcast = new FeedBroadcast(feed, timers, new AbortController().signal);
  asked = [];
  reads = [];
  superusers = new Set([1n, 2n, 3n]);
  const rights = new WatcherRights({
    ofUsers: async (userIds) => {
      asked.push([...userIds]);
      await settled();
      return userIds.map((userId) => ({
        userId,
        isStaff: false,
        isSuperuser: superusers.has(userId),
        profiles: [],
      }));
    },
  });
  const owners = { of: () => Promise.resolve({ platformAccountId: undefined, accountsOf: new Map() }) };
  watch = new ResourceWatch<never, object>(
    { broadcast, timers, owners, rights },
    {
      kind: 'token',
      fields: {},
      read: async (ids) => {
        reads.push(ids.length);
        await settled();
        return {};
      },
      bytesOf: () => 0,
      tell: (_change, _facts, { isSuperuser }) =>
        isSuperuser ? { type: 'UPDATED', resource: undefined } : undefined,
    },
  );
});

/** begin watches as a user, up to the first message, which comes before any change. */
async function begin(userId: bigint): Promise<Messages> {
  const caller = { userId } as Caller;
  const call = { reauthorize: () => Promise.resolve(caller), gone: new AbortController().signal };
  const messages = watch.watch({ start: undefined, heartbeatMs: 60_000 }, call)[Symbol.asyncIterator]();
  await messages.next();
  return messages;
}

/** eventsOf counts the events of the next message. */
async function eventsOf(messages: Messages): Promise<number> {
  const next = await messages.next();
  if (next.done === true) throw new Error('the watch has ended');
  return next.value.events.length;
}

test('watches that are woken together read what was changed once, and the rights of each of their users once', async () => {
  const watches = await Promise.all([1n, 2n, 1n, 3n, 2n, 1n].map(begin));
  const told = Promise.all(watches.map(eventsOf));
  await settled();
  broadcast.wake(feed.add(2));
  expect(await told).toEqual(watches.map(() => 2));
  expect(reads).toEqual([2]);
  expect(asked).toEqual([[1n, 2n, 3n]]);
});

test('a watch that comes to a change later is told by the rights that its user has then', async () => {
  const [prompt, slow] = [await begin(1n), await begin(1n)];
  const both = Promise.all([eventsOf(prompt), eventsOf(slow)]);
  await settled();
  broadcast.wake(feed.add(1));
  expect(await both).toEqual([1, 1]);
  const told = eventsOf(prompt);
  await settled();
  broadcast.wake(feed.add(2));
  expect(await told).toBe(2);

  superusers.clear();
  timers.stall(1_001);
  const next = eventsOf(slow);
  await vi.waitFor(() => expect(asked).toHaveLength(3));
  await settled();
  superusers.add(1n);
  broadcast.wake(feed.add(3));
  // Not the two changes of before, only the three of now.
  expect(await next).toBe(3);
  expect(reads).toEqual([1, 2, 3]);
});

test('of what one revision changed never more than a piece is read together, as each resource may be large', async () => {
  const messages = await begin(1n);
  const first = eventsOf(messages);
  await settled();
  broadcast.wake(feed.add(PIECE * 2 + 5));
  const told = [await first, await eventsOf(messages), await eventsOf(messages)];
  expect(told).toEqual([PIECE, PIECE, 5]);
  expect(reads).toEqual(told);
});
