import { lentMs, TTL_MS, type Lease } from '../../../src/coherence/lease.js';
import { Settlement } from '../../../src/holders/settlement.js';
import type { Timers } from '../../../src/lib/timers.js';
import type { SimulatedSession } from './connection.js';
import { each, PassingSession } from './passing-session.js';
import type { ClientParts, Parts } from './simulated-replica.js';

interface Broken {
  readonly parts?: Parts;
  readonly spoil?: () => () => void;
}

const TO_THE_END = 1_000_000;

/** Protocols that are wrong in one point about clients. */
export const BROKEN_CLIENTS: Readonly<Record<string, Broken>> = {
  'a replica acknowledges before its clients have': {
    spoil: () => replaceGetter('settled', (settlement) => settlement.applied),
  },
  'the lease of a client is longer than that of its replica': {
    parts: { lentLease: (lease) => lending(lease, { leftMs: () => TTL_MS }) },
  },
  'a client counts its lease from the receipt of the grant': ofClients({ countsFromReceipt: true }),
  'what a client looks up is read before it is registered': ofClients({ readsBeforeRegistering: true }),
  'a client is forgotten when its stream is cut': ofClients({ forgetsWhenCut: true }),
  'clients get leases before the head was read': grantingEarly(),
  'clients get leases while invalidations are not sent': ofClients({ delaysInvalidations: 150 }),
  'a client comes back without telling what it holds': ofClients({ comesWithoutHandles: true }),
  'a client keeps a look-up that a change overtook': ofClients({ keepsWhatItMayNot: true }),
  'a replica signs off while clients have leases': ofClients({ signsOffEarly: true }),
  'the clients of the own replica are not waited for': {
    parts: { ownClients: () => ({ settle: () => undefined }) },
  },
  'a client that comes between a commit and its notice gets a lease': {
    parts: { lentLease: (lease) => lending(lease, { isRenewedSince: () => true }) },
  },
};

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

/** replaceGetter replaces a getter of all settlements until what is returned is called. */
function replaceGetter(name: 'settled', get: (settlement: Settlement) => unknown): () => void {
  const original = Object.getOwnPropertyDescriptor(Settlement.prototype, name);
  Object.defineProperty(Settlement.prototype, name, {
    configurable: true,
    get(this: Settlement) {
      return get(this);
    },
  });
  return () => {
    if (original !== undefined) Object.defineProperty(Settlement.prototype, name, original);
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
