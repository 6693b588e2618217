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
import { secretWatch } from '../../../src/secret/secret-watch.js';
import { ManualTimers } from '../../support/manual-timers.js';

const MEBIBYTE = 1024 * 1024;
const SLICES = 40;
const GRANTS = 3_000;
const RESOURCE: Description = {
  description: '',
  version: '',
  tags: [],
  annotations: new Map(),
  manifestPath: '',
};

/** sliceAt has one change, of a resource with the number of the slice. */
function sliceAt(number: number, kind: Change['kind']): FeedSlice {
  const revision = BigInt(number);
  const end = { epoch: 'e', revision, skip: 0 };
  const owner = { profileId: 2n, userId: 3n, accountId: 4n };
  const change = { kind, op: 'deleted', id: revision, granteeIds: [], ...owner } as unknown as Change;
  return { items: [{ change, revision, committedAt: instantFromMillis(0), end }], end };
}

/** Who watches. */
const CALL = {
  reauthorize: () => Promise.resolve({ userId: 1n, scopes: ['*'] }),
  gone: new AbortController().signal,
} as unknown as LiveCall;

/** dependencies let all watches come to the same slices, of one change each. */
function dependencies(kind: Change['kind']): ResourceWatchDependencies {
  const slices = Array.from({ length: SLICES }, (_each, index) => sliceAt(index + 1, kind));
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
  return {
    broadcast,
    timers: new ManualTimers(),
    owners: { of: () => Promise.resolve({ accountsOf: new Map() }) },
    rights: { of: () => Promise.resolve({ profiles: [{ id: 1n, accountId: 1n }], isSuperuser: true }) },
  } as unknown as ResourceWatchDependencies;
}

/** watching counts what is read of tokens of a mebibyte each, for watches of the same slices. */
function watching() {
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
  const watch = new ResourceWatch(dependencies('token'), subject);
  return {
    read,
    open: () => open(watch),
  };
}

function open(watch: Pick<ResourceWatch<object, object>, 'watch'>): AsyncIterator<unknown> {
  return watch.watch({ start: undefined, heartbeatMs: 1_000 }, CALL)[Symbol.asyncIterator]();
}

async function take(watch: AsyncIterator<unknown>, messages: number): Promise<void> {
  for (let taken = 0; taken < messages; taken += 1) await watch.next();
}

test('what is read for all who watch is kept for those a little behind, and not for one far behind', async () => {
  const { read, open: openOne } = watching();
  const [quick, slow] = [openOne(), openOne()];
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

test('the grants of secrets count for what is kept: there may be very many', async () => {
  const read: bigint[] = [];
  const grant = { profileId: 5n, expiresAt: null };
  const watch = secretWatch({
    ...dependencies('secret'),
    clock: { now: () => 0 },
    secrets: { findAll: () => Promise.resolve([]) },
    grants: {
      termsOf: (ids) => {
        read.push(...ids);
        const [secretId = 0n] = ids;
        return Promise.resolve(Array.from({ length: GRANTS }, () => ({ ...grant, secretId })));
      },
    },
  });
  const [quick, slow] = [open(watch), open(watch)];
  for (const each of [quick, slow]) await take(each, 1);
  await take(quick, SLICES);
  await take(slow, 1);
  expect(read).toHaveLength(SLICES + 1);
});
