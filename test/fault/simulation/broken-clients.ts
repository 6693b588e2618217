import { EVERYTHING } from '../../../src/coherence/notice.js';
import { lentMs, TTL_MS, type Lease } from '../../../src/coherence/lease.js';
import type { Answer } from '../../../src/coherence/outage-policy.js';
import { digestFromBytes, type Digest } from '../../../src/crypto/digest.js';
import type { HoldVerdictsRequest } from '../../../src/gen/keyward/token/v1/hold_verdicts.js';
import { Holder } from '../../../src/holders/holder.js';
import { HolderHub } from '../../../src/holders/holder-hub.js';
import { Holding } from '../../../src/holders/holding.js';
import { Settlement } from '../../../src/holders/settlement.js';
import { ACKNOWLEDGE_WITHIN_MS, Unacknowledged } from '../../../src/holders/unacknowledged.js';
import type { Timers } from '../../../src/lib/timers.js';
import { Entries } from '../../../clients/node/src/memory/entries.js';
import { Lease as ClientLease } from '../../../clients/node/src/memory/lease.js';
import { VerdictMemory, type Settle } from '../../../clients/node/src/memory/verdict-memory.js';
import type { SimulatedSession } from './connection.js';
import { each, PassingSession } from './passing-session.js';
import type { ClientParts, Parts, SimulatedRecord, SimulatedReplica } from './simulated-replica.js';
import { spoiling, spoilingGetter } from './spoiling.js';

interface Broken {
  readonly parts?: Parts;
  readonly spoil?: () => () => void;
}

const TO_THE_END = 1_000_000;

/**
 * Protocols that are wrong in one point about clients: of each rule of docs/callers-memory.md at least one, in their order there.
 *
 * Two ways to break a rule are not here, since they do no harm as long as one stream carries everything in order. A lease that is
 * granted while an invalidation is not acknowledged comes after that invalidation. And a client that keeps a look-up although
 * it was told of a change meanwhile is told by the replica too that it may not keep it.
 */
export const BROKEN_CLIENTS: Readonly<Record<string, Broken>> = {
  'open: a caller who has lost the right goes on': ofClients({ keepsRights: true }),

  'look-up: what is looked up is read before it is registered': ofClients({
    arrives: (request, replica, deliver) => void readEarly(request, replica, deliver),
  }),
  'look-up: a client keeps what it may not keep': ofClients({
    receives: (message, _timers, deliver) => {
      for (const fact of message.facts?.facts ?? []) fact.keep = fact.known;
      deliver();
    },
  }),
  'look-up: an answer is shared with one who asked later': {
    spoil: () => spoiling(VerdictMemory.prototype, sharing),
  },

  'lease: that of a client is longer than that of its replica': {
    parts: { lentLease: (lease) => lending(lease, { leftMs: () => TTL_MS }) },
  },
  'lease: a client counts it from the receipt of the grant': {
    spoil: () =>
      spoiling(ClientLease.prototype, (real) => ({
        granted(stream, grant) {
          return real.granted.call(this, stream, { ...grant, number: this.renew(stream) });
        },
      })),
  },
  'lease: it is granted before the head was read': grantingEarly(),
  'lease: it is granted while invalidations are not sent': ofClients({
    receives: (message, timers, deliver) => {
      if (message.invalidation === undefined) deliver();
      else timers.after(TTL_MS + ACKNOWLEDGE_WITHIN_MS, deliver);
    },
  }),

  'judging: a client answers without a lease': {
    spoil: () =>
      spoiling(ClientLease.prototype, () => ({
        coversAt(stream) {
          return stream <= this.stream;
        },
      })),
  },
  'judging: a client answers by what it has forgotten, where a connection remembers it': {
    spoil: () =>
      spoiling(Entries.prototype, (real) => ({
        forget(entry) {
          real.forget.call(this, entry);
          entry.isHeld = true;
        },
      })),
  },

  'change: a replica acknowledges before its clients have': {
    spoil: () => spoilingGetter(Settlement.prototype, 'settled', ({ applied }) => applied),
  },
  'change: clients of the own replica are not waited for': {
    parts: { ownClients: () => ({ settle: () => undefined }) },
  },
  'change: a client that comes between a commit and its notice gets a lease': {
    parts: { lentLease: (lease) => lending(lease, { isRenewedSince: () => true }) },
  },
  'change: those who hold tokens of an owner are not told of the owner': {
    spoil: () =>
      spoiling(Holding.prototype, (real) => ({
        forget(change) {
          return real.forget.call(this, { ...change, owners: EVERYTHING.owners, hasOwners: false });
        },
      })),
  },
  'change: those who hold a value are not told of the secret': {
    spoil: () =>
      spoiling(Holding.prototype, (real) => ({
        forget(change) {
          return real.forget.call(this, { ...change, secretIds: [] });
        },
      })),
  },

  'slow client: it is not waited for until its lease is over': {
    spoil: () =>
      spoiling(Unacknowledged.prototype, (real) => ({
        add(nowMs, leaseEnd, step) {
          return real.add.call(this, nowMs, Math.min(leaseEnd, nowMs + ACKNOWLEDGE_WITHIN_MS), step);
        },
      })),
  },

  'another stream: a client comes without telling what it holds': {
    spoil: () =>
      spoiling(VerdictMemory.prototype, (real) => ({
        openStream() {
          const { stream, open } = real.openStream.call(this);
          return { stream, open: { ...open, tokens: [], secretIds: [] } };
        },
      })),
  },
  'another stream: a client is forgotten when its stream is cut': {
    spoil: () =>
      spoiling(HolderHub.prototype, (real) => ({
        close(holder) {
          holder.left();
          real.close.call(this, holder);
        },
      })),
  },
  'another stream: what was changed since is not told': {
    spoil: () =>
      spoiling(Holder.prototype, (real) => ({
        catchUp() {
          real.catchUp.call(this, []);
        },
      })),
  },
  'leaving: a replica signs off while clients have leases': ofClients({ signsOffEarly: true }),

  'memory: a replica makes room before the client has': {
    spoil: () =>
      spoiling(Holding.prototype, (real) => ({
        pushOut() {
          const handles = real.pushOut.call(this);
          this.pushedOut();
          return handles;
        },
      })),
  },
  'memory: a client lets go of what it is looking up': {
    spoil: () =>
      spoiling(Entries.prototype, (real) => ({
        takeReleased() {
          return real.takeReleased.call(this, () => false);
        },
      })),
  },

  'suspension: a client does not look at the wall clock': ofClients({
    timers: (timers) => ({ ...timers, wallMs: () => 0 }),
  }),
};

/** sharing lets all who ask for a text share the answer to the look-up that is under way. */
function sharing(real: VerdictMemory): Partial<VerdictMemory> & ThisType<VerdictMemory> {
  const underWay = new WeakMap<VerdictMemory, Map<string, Settle[]>>();
  return {
    lookUp(stream, key, digest, settle) {
      const byKey = underWay.get(this) ?? new Map<string, Settle[]>();
      underWay.set(this, byKey);
      const settles = byKey.get(key);
      if (settles !== undefined) {
        settles.push(settle);
        return undefined;
      }
      const all = [settle];
      byKey.set(key, all);
      return real.lookUp.call(this, stream, key, digest, (answer) => {
        byKey.delete(key);
        for (const each of all) each(answer);
      });
    },
  };
}

/** readEarly registers only once everything is read that is looked up, and takes that for right. */
async function readEarly(
  { message }: HoldVerdictsRequest,
  { policy, place }: SimulatedReplica,
  deliver: () => void,
): Promise<void> {
  if (message?.$case !== 'lookUp') {
    deliver();
    return;
  }
  const read = new Map<Digest, Answer<SimulatedRecord>>();
  for (const digest of message.value.texts.map((text) => digestFromBytes(text.digest)))
    await policy.get(digest).then(
      (answer) => read.set(digest, answer),
      () => undefined,
    );
  place.process.after(30, () => {
    for (const { record } of read.values()) if (record !== null) record.owner.current = true;
    const get = (digest: Digest): Promise<Answer<SimulatedRecord>> =>
      Promise.resolve(read.get(digest) ?? { record: null, stale: false });
    Object.assign(policy, { lookUp: () => undefined, get });
    deliver();
    Reflect.deleteProperty(policy, 'lookUp');
    Reflect.deleteProperty(policy, 'get');
  });
}

function ofClients(clients: ClientParts): Broken {
  return { parts: { clients } };
}

type Lending = ReturnType<NonNullable<Parts['lentLease']>>;

function lending(lease: Lease, otherwise: Partial<Lending>): Lending {
  return {
    holds: () => lease.holds(),
    leftMs: () => lease.leftMs(),
    isRenewedSince: (ms) => lease.isRenewedSince(ms),
    ...otherwise,
  };
}

/** grantingEarly lends as soon as the renewal of the replica's own lease was sent, whatever the head may tell. */
function grantingEarly(): Broken {
  const ends = new WeakMap<object, number>();
  return {
    parts: {
      connector: (connector, _memory, place) =>
        each(
          connector,
          (session) => new NotingRenewals(session, place.process, (endMs) => ends.set(place.process, endMs)),
        ),
      lentLease: (lease, timers) => {
        const leftMs = (): number => (ends.get(timers) ?? -TO_THE_END) - timers.monotonicMs();
        return lending(lease, { holds: () => leftMs() > 0, leftMs });
      },
    },
  };
}

class NotingRenewals extends PassingSession {
  readonly #timers: Timers;
  readonly #note: (endMs: number) => void;

  constructor(session: SimulatedSession, timers: Timers, note: (endMs: number) => void) {
    super(session);
    this.#timers = timers;
    this.#note = note;
  }

  override async renew(terms: Parameters<PassingSession['renew']>[0]): Promise<bigint> {
    const sentMs = this.#timers.monotonicMs();
    const renewals = await super.renew(terms);
    this.#note(sentMs + lentMs(TTL_MS));
    return renewals;
  }
}
