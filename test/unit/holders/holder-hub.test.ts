import { beforeEach, describe, expect, test } from 'vitest';
import { Lease, lentMs } from '../../../src/coherence/lease.js';
import { EVERYTHING } from '../../../src/coherence/notice.js';
import type { Eviction, Head } from '../../../src/coherence/ports.js';
import { HolderHub, type Coming } from '../../../src/holders/holder-hub.js';
import type { Holder } from '../../../src/holders/holder.js';
import type { Grant, HeldFact, Invalidation, LookedUp } from '../../../src/holders/holder-outlet.js';
import { ManualTimers, settled } from '../../support/manual-timers.js';

const EPOCH = 'an epoch';
const LEASE_MS = 2_900;
const NOTHING: Eviction = {
  everything: false,
  digests: [],
  owners: { userIds: [], accountIds: [], profileIds: [] },
  secretIds: [],
};

type Said =
  | { readonly opened: boolean }
  | { readonly facts: readonly LookedUp<HeldFact>[] }
  | { readonly grant: Grant }
  | { readonly invalidation: Invalidation }
  | 'leave'
  | 'suspect';

let timers: ManualTimers;
let lease: Lease;
let hub: HolderHub<HeldFact>;
let missed: (evictions: readonly Eviction[] | undefined) => void;
let fact: HeldFact;
let refused: string[];

beforeEach(() => {
  timers = new ManualTimers();
  lease = new Lease(timers, 0);
  fact = { owner: { profileId: 1n, userId: 2n, accountId: 3n, current: true } };
  refused = [];
  hub = new HolderHub<HeldFact>({
    lease,
    facts: { lookUp: () => fact, get: () => Promise.resolve({ record: fact, stale: false }) },
    missed: () =>
      new Promise((resolve) => {
        missed = resolve;
      }),
    timers,
    metrics: {
      invalidated: () => undefined,
      strained: () => undefined,
      refused: (reason) => refused.push(reason),
    },
    maxEntries: 16,
    maxHolders: 10,
    maxHoldersOfUser: 10,
  });
  lease.extend(lease.moment());
  change(1n, EVERYTHING);
});

let before: Head | undefined;

function change(revision: bigint, eviction: Eviction): void {
  const applied = { epoch: EPOCH, revision };
  hub.changed(eviction, applied, revision === 1n ? undefined : before);
  before = applied;
}

interface Client {
  readonly holder: Holder<HeldFact>;
  readonly said: Said[];
  readonly last: () => Invalidation;
}

let clients = 0;

function open(coming?: Coming): Client {
  clients += 1;
  const said: Said[] = [];
  const identity = { clientId: `client ${clients}`, label: 'a-test', agent: '', userId: 9n };
  const holder = hub.open(
    { ...identity, profileId: undefined, accountId: undefined, digest: undefined },
    coming,
    {
      opened: (opened) => said.push({ opened }),
      facts: (facts) => said.push({ facts }),
      grant: (grant) => said.push({ grant }),
      invalidate: (invalidation) => said.push({ invalidation }),
      leave: () => said.push('leave'),
      suspect: () => said.push('suspect'),
      end: () => undefined,
    },
  );
  holder.trust();
  const last = (): Invalidation => {
    const told = said.flatMap((each) =>
      typeof each === 'object' && 'invalidation' in each ? [each.invalidation] : [],
    );
    const latest = told.at(-1);
    if (latest === undefined) throw new Error('nothing was told');
    return latest;
  };
  return { holder, said, last };
}

/** holding is a client that holds the fact of a digest under a lease. */
async function holding(digest = 'a'): Promise<Client> {
  const client = open();
  client.holder.lookUp([{ id: 1n, digest }], () => () => undefined);
  await settled();
  client.holder.renew(1n, []);
  expect(client.said.at(-1)).toMatchObject({ grant: { granted: { leaseMs: lentMs(LEASE_MS) } } });
  return client;
}

function head(revision: bigint): Head {
  return { epoch: EPOCH, revision };
}

describe('what is settled', () => {
  test('is what is applied, where nobody holds it', async () => {
    await holding('a');
    change(2n, { ...NOTHING, digests: ['b'] });
    expect(hub.settled).toEqual(head(2n));
  });

  test('is not what a client holds, nor what follows, until that has acknowledged', async () => {
    const { holder, last } = await holding('a');
    change(2n, { ...NOTHING, digests: ['a'] });
    change(3n, NOTHING);
    expect(hub.settled).toEqual(head(1n));
    holder.acknowledge(last().number);
    expect(hub.settled).toEqual(head(3n));
    expect(hub.told([2n, 3n])).toEqual([{ revision: 2n, acknowledged: 1, expired: 0 }]);
  });

  test('is all once the lease is over, be the client there or gone', async () => {
    for (const isGone of [false, true]) {
      lease.extend(lease.moment());
      const revision = (before?.revision ?? 0n) + 1n;
      const { holder } = await holding('a');
      if (isGone) hub.close(holder);
      change(revision, { ...NOTHING, digests: ['a'] });
      await timers.advance(LEASE_MS - 1);
      expect(hub.settled).toEqual(head(revision - 1n));
      await timers.advance(1);
      expect(hub.settled).toEqual(head(revision));
      expect(hub.told([revision])).toEqual([{ revision, acknowledged: 0, expired: 1 }]);
    }
  });

  test('is told of when it is more', async () => {
    let times = 0;
    hub.onSettled = () => {
      times += 1;
    };
    const { holder, last } = await holding('a');
    change(2n, { ...NOTHING, digests: ['a'] });
    expect(times).toBe(0);
    holder.acknowledge(last().number);
    expect(times).toBe(1);
  });
});

describe('a lease', () => {
  test('is cut from that of the replica, and there is none without', async () => {
    const { holder, said } = open();
    await timers.advance(1_900);
    holder.renew(1n, []);
    expect(said.at(-1)).toMatchObject({ grant: { granted: { leaseMs: lentMs(1_000) } } });
    await timers.advance(1_000);
    holder.renew(2n, []);
    expect(said.at(-1)).toMatchObject({ grant: { granted: { refusal: 'REPLICA_HAS_NONE' } } });
    expect(refused).toEqual(['REPLICA_HAS_NONE']);
  });

  test('is not granted before a change that this replica has made is applied', () => {
    const { holder, said } = open();
    expect(hub.settle(head(2n))).toBeUndefined();
    holder.renew(1n, []);
    expect(said.at(-1)).toMatchObject({ grant: { granted: { refusal: 'REPLICA_HAS_NONE' } } });
    change(2n, NOTHING);
    holder.renew(2n, []);
    expect(said.at(-1)).toMatchObject({ grant: { granted: { leaseMs: lentMs(LEASE_MS) } } });
  });

  test('is not granted while something should have been acknowledged, nor for a minute after the third time', async () => {
    const { holder, said, last } = open();
    for (let time = 1n; time <= 3n; time += 1n) {
      holder.lookUp([{ id: time, digest: 'a' }], () => () => undefined);
      await settled();
      lease.extend(lease.moment());
      change(time + 1n, { ...NOTHING, digests: ['a'] });
      await timers.advance(251);
      holder.renew(2n * time, []);
      const refusal = time === 3n ? 'TOO_SLOW' : 'NOT_ACKNOWLEDGED';
      expect(said.at(-1)).toMatchObject({ grant: { granted: { refusal } } });
      holder.acknowledge(last().number);
    }
    holder.renew(9n, []);
    expect(said.at(-1)).toMatchObject({ grant: { granted: { refusal: 'TOO_SLOW' } } });
  });

  test('waits until it is judged what the caller may do', async () => {
    const { holder, said } = await holding('a');
    change(2n, { ...NOTHING, owners: { ...NOTHING.owners, userIds: [9n] } });
    expect(said.slice(-2)).toMatchObject([{ invalidation: { everything: true } }, 'suspect']);
    holder.renew(2n, []);
    expect(said.at(-1)).toBe('suspect');
    holder.trust();
    expect(said.at(-1)).toMatchObject({ grant: { number: 2n } });
  });
});

describe('a change that is made here', () => {
  test('waits for the clients that have a lease, until they have acknowledged', async () => {
    const { holder, last } = await holding('a');
    const waited = hub.settle(head(2n));
    change(2n, { ...NOTHING, digests: ['a'] });
    holder.acknowledge(last().number);
    expect(await waited).toEqual({ acknowledged: 1, expired: 0 });
  });

  test('waits no longer than their leases, whether it is heard of or not', async () => {
    await holding('a');
    let isOver = false;
    void hub.settle(head(2n))?.then(() => {
      isOver = true;
    });
    await timers.advance(LEASE_MS - 1);
    expect(isOver).toBe(false);
    await timers.advance(1);
    expect(isOver).toBe(true);
  });
});

describe('a look-up that a change overtakes', () => {
  test.each<[string, Partial<Eviction>, boolean]>([
    ['of that text', { digests: ['a'] }, false],
    ['of any owner', { owners: { ...NOTHING.owners, profileIds: [77n] } }, false],
    ['of another text', { digests: ['b'] }, true],
  ])('%s: whether it may be kept', async (_what, eviction, keep) => {
    const { holder, said } = open();
    holder.lookUp([{ id: 1n, digest: 'a' }], () => () => undefined);
    change(2n, { ...NOTHING, ...eviction });
    await settled();
    expect(said.at(-1)).toMatchObject({ facts: [{ id: 1n, keep }] });
  });

  test('of a secret, is not kept', async () => {
    const { holder } = open();
    const kept: boolean[] = [];
    const read = () => Promise.resolve({ secretId: 5n });
    const overtaken = holder.access(read, (_value, keep) => kept.push(keep));
    change(2n, { ...NOTHING, secretIds: [5n] });
    await overtaken;
    await holder.access(read, (_value, keep) => kept.push(keep));
    expect(kept).toEqual([false, true]);
  });
});

describe('a client that comes from another stream', () => {
  const owner = { profileId: 1n, userId: 2n, accountId: 3n };

  function coming(position: Head): Coming {
    return { position, tokens: [{ owner, handles: [7n] }], secretIds: [5n] };
  }

  test('is told what it missed, and what was changed meanwhile, together and before it gets a lease', async () => {
    change(2n, NOTHING);
    const { holder, said } = open(coming(head(1n)));
    holder.renew(1n, []);
    change(3n, { ...NOTHING, secretIds: [5n] });
    expect(said).toEqual([{ opened: true }]);
    missed([{ ...NOTHING, owners: { ...NOTHING.owners, accountIds: [3n] } }]);
    await settled();
    expect(said.slice(1)).toMatchObject([
      { invalidation: { owners: { accountIds: [3n] }, allSecrets: true, position: head(3n) } },
      { grant: { granted: { leaseMs: lentMs(LEASE_MS) }, position: head(3n) } },
    ]);
  });

  test('is told of no position meanwhile, since it would skip what it missed', () => {
    change(2n, NOTHING);
    const { holder, said } = open(coming(head(1n)));
    holder.refuse(1n, []);
    expect(said.at(-1)).toMatchObject({
      grant: { granted: { refusal: 'REPLICA_HAS_NONE' }, position: undefined },
    });
  });

  test('must forget everything where that is not known', async () => {
    change(2n, NOTHING);
    const { said } = open(coming(head(1n)));
    missed(undefined);
    await settled();
    expect(said).toMatchObject([{ opened: true }, { invalidation: { everything: true } }]);
    expect(open(coming({ epoch: 'another', revision: 1n })).said).toEqual([{ opened: false }]);
  });
});

test('a replica leaves when no client can have a lease any more, and takes none meanwhile', async () => {
  const { holder, said } = await holding('a');
  let hasLeft = false;
  void hub.leave().then(() => {
    hasLeft = true;
  });
  expect(said.at(-1)).toBe('leave');
  expect(() => open()).toThrow('The service is being stopped.');
  holder.renew(2n, []);
  expect(said.at(-1)).toMatchObject({ grant: { granted: { refusal: 'STOPPING' } } });
  hub.close(holder);
  await timers.advance(LEASE_MS - 1);
  expect(hasLeft).toBe(false);
  await timers.advance(1);
  expect(hasLeft).toBe(true);
});
