import { expect, test } from 'vitest';
import type { LiveCall } from '../../../src/authz/caller.js';
import type { Change } from '../../../src/coherence/change.js';
import { instantFromMillis } from '../../../src/lib/instant.js';
import type { Description } from '../../../src/lib/resource-rules.js';
import type { FeedSlice } from '../../../src/watch/feed-slice.js';
import {
  ResourceWatch,
  type ResourceWatchDependencies,
  type Subject,
} from '../../../src/watch/resource-watch.js';
import { ManualTimers } from '../../support/manual-timers.js';

const MEBIBYTE = 1024 * 1024;
const SLICES = 40;
const RESOURCE: Description = {
  description: '',
  version: '',
  tags: [],
  annotations: new Map(),
  manifestPath: '',
};

/** sliceAt has one change, of a token with the number of the slice. */
function sliceAt(number: number): FeedSlice {
  const revision = BigInt(number);
  const end = { epoch: 'e', revision, skip: 0 };
  const change = { kind: 'token', op: 'updated', id: revision } as Change;
  return { items: [{ change, revision, committedAt: instantFromMillis(0), end }], end };
}

/** watching counts what is read of tokens of a mebibyte each, for watches of the same slices. */
function watching() {
  const slices = Array.from({ length: SLICES }, (_each, index) => sliceAt(index + 1));
  const read: bigint[] = [];
  const subject: Subject<Description, { readonly ids: readonly bigint[] }> = {
    kind: 'token',
    fields: {},
    read: (ids) => {
      read.push(...ids);
      return Promise.resolve({ ids });
    },
    bytesOf: ({ ids }) => ids.length * MEBIBYTE,
    tell: () => ({ type: 'UPDATED', resource: RESOURCE }),
  };
  const broadcast = {
    watch: () => {
      const left = [...slices];
      const watcher = {
        position: { epoch: 'e', revision: 0n, skip: 0 },
        next: () => Promise.resolve(left.shift()),
        sending: () => undefined,
        close: () => undefined,
      };
      return Promise.resolve(watcher);
    },
  };
  const watch = new ResourceWatch(
    {
      broadcast,
      timers: new ManualTimers(),
      owners: { of: () => Promise.resolve({}) },
      rights: { of: () => Promise.resolve({}) },
    } as unknown as ResourceWatchDependencies,
    subject,
  );
  const call = {
    reauthorize: () => Promise.resolve({ userId: 1n }),
    gone: new AbortController().signal,
  } as unknown as LiveCall;
  return {
    read,
    open: () => watch.watch({ start: undefined, heartbeatMs: 1_000 }, call)[Symbol.asyncIterator](),
  };
}

async function take(watch: AsyncIterator<unknown>, messages: number): Promise<void> {
  for (let taken = 0; taken < messages; taken += 1) await watch.next();
}

test('what is read for all who watch is kept for those a little behind, and not for one far behind', async () => {
  const { read, open } = watching();
  const [quick, slow] = [open(), open()];
  // The first message of each says where it begins.
  for (const watch of [quick, slow]) await take(watch, 1);
  await take(quick, SLICES);
  expect(read).toHaveLength(SLICES);
  await take(slow, 1);
  expect(read).toHaveLength(SLICES + 1);

  const again = watching();
  const [one, other] = [again.open(), again.open()];
  for (const watch of [one, other]) await take(watch, 1);
  for (let each = 0; each < SLICES; each += 1) for (const watch of [one, other]) await take(watch, 1);
  expect(again.read).toHaveLength(SLICES);
});
