import type { Timers } from '../lib/timers.js';
import type { FeedBroadcast } from './feed-broadcast.js';
import type { FeedItem, FeedSlice, Position, Start } from './feed-slice.js';

/** EventType is what happened, as watchers are told. */
export type EventType = 'CREATED' | 'UPDATED' | 'DELETED' | 'OWNER_CHANGED' | 'ALL_CHANGED';

/** FeedEvent is one change that a watcher is told of. */
export interface FeedEvent {
  readonly type: EventType;
  readonly item: FeedItem;
  /** About how many bytes it takes in a message. */
  readonly bytes: number;
}

/** News is one message to a watcher. */
export interface News<Event> {
  readonly events: readonly Event[];
  readonly position: Position;
}

export interface WatchOptions {
  /** Undefined for the present. */
  readonly start: Start | undefined;
  /** Milliseconds that may pass without a message. */
  readonly heartbeatMs: number;
}

export interface WatchDependencies {
  readonly broadcast: FeedBroadcast;
  readonly timers: Timers;
}

/** What clients take in one message by default is 4 MiB; one event may take more than a tenth of that. */
const MAX_MESSAGE = 1024 * 1024;

/**
 * watchFeed yields news from a position on: first none, then what `select` makes of the changes, and none again where there
 * was nothing to tell for a while. `select` is called with undefined then.
 */
export async function* watchFeed<Event extends FeedEvent>(
  { broadcast, timers }: WatchDependencies,
  { start, heartbeatMs }: WatchOptions,
  select: (slice: FeedSlice | undefined) => Promise<readonly Event[]>,
  gone: AbortSignal,
): AsyncGenerator<News<Event>, never, undefined> {
  const watcher = await broadcast.watch(start);
  const close = (): void => {
    watcher.close();
  };
  gone.addEventListener('abort', close);
  if (gone.aborted) close();
  let sentAt = timers.monotonicMs();
  try {
    watcher.sending(true);
    yield { events: [], position: watcher.position };
    watcher.sending(false);
    for (;;) {
      const slice = await watcher.next(sentAt + heartbeatMs - timers.monotonicMs());
      const events = await select(slice);
      for (const news of messagesOf(events, watcher.position)) {
        if (news.events.length === 0 && timers.monotonicMs() < sentAt + heartbeatMs) continue;
        watcher.sending(true);
        yield news;
        watcher.sending(false);
        sentAt = timers.monotonicMs();
      }
    }
  } finally {
    close();
    gone.removeEventListener('abort', close);
  }
}

/** messagesOf is at least one message, of which the last leads to a position. */
function messagesOf<Event extends FeedEvent>(events: readonly Event[], position: Position): News<Event>[] {
  const messages: News<Event>[] = [];
  let some: Event[] = [];
  let bytes = 0;
  for (const event of events) {
    const last = some.at(-1);
    if (last !== undefined && bytes + event.bytes > MAX_MESSAGE) {
      messages.push({ events: some, position: last.item.end });
      some = [];
      bytes = 0;
    }
    some.push(event);
    bytes += event.bytes;
  }
  return [...messages, { events: some, position }];
}
