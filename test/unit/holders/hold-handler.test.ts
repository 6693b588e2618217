import { randomUUID } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { Lease } from '../../../src/coherence/lease.js';
import { EVERYTHING } from '../../../src/coherence/notice.js';
import type { Eviction } from '../../../src/coherence/ports.js';
import { digestBytes, digestOf } from '../../../src/crypto/digest.js';
import { credentialsRefused } from '../../../src/lib/errors.js';
import { ALL_SCOPES } from '../../../src/lib/scopes.js';
import {
  HoldVerdictsResponse,
  type HoldVerdictsRequest,
} from '../../../src/gen/keyward/token/v1/hold_verdicts.js';
import { holdHandler } from '../../../src/holders/hold-handler.js';
import { HolderHub } from '../../../src/holders/holder-hub.js';
import type { Dialogue } from '../../../src/rpc/dialogue.js';
import type { VerdictRecord } from '../../../src/token/verdict.js';
import { ManualTimers, settled } from '../../support/manual-timers.js';

const EPOCH = randomUUID();
const CALLER = {
  userId: 9n,
  username: 'someone',
  profileId: 9n,
  accountNumber: '1',
  keyId: undefined,
  scopes: ALL_SCOPES,
  origin: { peer: '', requestId: '', certificate: undefined },
  credential: { digest: digestOf('the token of the caller'), accountId: 9n },
  isGone: () => false,
};

let said: string[];
let receive: (message: NonNullable<HoldVerdictsRequest['message']>) => void;
let judged: { readonly resolve: () => void; readonly refuse: () => void };
let changed: (eviction: Eviction, revision: bigint) => void;
let outcome: Promise<string>;

beforeEach(async () => {
  const timers = new ManualTimers();
  const lease = new Lease(timers, 0);
  const hub = new HolderHub<VerdictRecord>({
    lease,
    facts: { lookUp: () => null, get: () => Promise.resolve({ record: null, stale: false }) },
    missed: () => Promise.resolve([]),
    timers,
    metrics: { invalidated: () => undefined, strained: () => undefined, refused: () => undefined },
    maxEntries: 16,
    maxHolders: 10,
    maxHoldersOfUser: 10,
  });
  lease.extend(lease.moment());
  changed = (eviction, revision) => {
    hub.changed(eviction, { epoch: EPOCH, revision }, undefined);
  };
  changed(EVERYTHING, 1n);
  said = [];
  const { converse } = holdHandler({
    hub,
    replicaId: randomUUID(),
    maxEntries: 16,
    secrets: {
      access: () => Promise.reject(new Error('nobody asks')),
      recordMissingScope: () => Promise.resolve(),
    },
    used: () => undefined,
    clock: { now: () => timers.wallMs() },
    timers,
  });
  let end: (error: unknown) => void = () => undefined;
  const dialogue: Pick<Dialogue<HoldVerdictsRequest>, 'hold' | 'send' | 'read' | 'finish' | 'end'> = {
    hold: (take) => {
      receive = (message) => take({ message });
      return new Promise((_resolve, reject) => {
        end = reject;
      });
    },
    send: (bytes) => said.push(HoldVerdictsResponse.decode(bytes).message?.$case ?? ''),
    read: () => undefined,
    finish: () => undefined,
    end: (error) => end(error),
  };
  const held = converse(dialogue as Dialogue<HoldVerdictsRequest>, CALLER, {
    gone: new AbortController().signal,
    begin: () => () => undefined,
    reauthorize: () =>
      new Promise((resolve, reject) => {
        judged = { resolve: () => resolve(CALLER), refuse: () => reject(credentialsRefused()) };
      }),
  });
  outcome = held.then(
    (ended) => ended,
    (error: unknown) => String(error),
  );
  receive({
    $case: 'open',
    value: { clientId: randomUUID(), label: 'a', agent: '', position: undefined, tokens: [], secretIds: [] },
  });
  await settled();
  judged.resolve();
  await settled();
});

async function lookUp(): Promise<void> {
  receive({ $case: 'lookUp', value: { texts: [{ id: 1n, digest: digestBytes(digestOf('a text')) }] } });
  await settled();
}

const CALLER_CHANGED = { ...EVERYTHING, everything: false, digests: [CALLER.credential.digest] };

test('a client is answered at once while nothing of its caller was changed', async () => {
  await lookUp();
  expect(said).toEqual(['opened', 'facts']);
});

test('a caller of whom something was changed is given nothing before it is judged anew', async () => {
  changed(CALLER_CHANGED, 2n);
  await lookUp();
  expect(said).toEqual(['opened']);
  judged.resolve();
  await settled();
  expect(said).toEqual(['opened', 'facts']);
});

test('and nothing at all if it is refused', async () => {
  changed(CALLER_CHANGED, 2n);
  await lookUp();
  judged.refuse();
  expect(await outcome).toContain('credentials');
  expect(said).toEqual(['opened']);
});
