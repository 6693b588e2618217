import { Acknowledgements } from '../../../src/coherence/acknowledgements.js';
import { Continuity } from '../../../src/coherence/continuity.js';
import type { Head, Memory, Registered, Registrations, ServerHead } from '../../../src/coherence/ports.js';
import type { SimulatedConnector, SimulatedSession } from './connection.js';
import { each, PassingSession } from './passing-session.js';
import type { Parts } from './simulated-replica.js';

/** What stands for the epoch where there are none; clients send it back. */
const NO_EPOCH = '00000000-0000-4000-8000-000000000000';

/** Protocols that are wrong in one point about epochs. */
export const BROKEN_EPOCHS: Readonly<Record<string, { readonly parts: Parts }>> = {
  'there are no epochs, only revisions': {
    parts: {
      connector: withoutEpochs,
      registrations: (registrations) =>
        rereading(registrations, (registered) => ({ ...registered, epoch: NO_EPOCH, epochAgeMs: undefined })),
      continuity: (timers) => new Trusting(timers),
    },
  },
  'acknowledgements of another epoch are believed': {
    parts: { acknowledgements: () => new OfAnyEpoch() },
  },
  'leases of epochs before are not waited for': {
    parts: {
      registrations: (registrations) =>
        rereading(registrations, (registered) => ({ ...registered, epochAgeMs: undefined })),
    },
  },
  'the lease and memory outlive the epoch': {
    parts: { connector: (connector) => each(connector, (session) => new FirstEpoch(session)) },
  },
  'memory is kept when another epoch begins': keepingMemory(),
  'the epoch goes on where an older copy is noticed': {
    parts: { connector: (connector) => each(connector, (session) => new Unending(session)) },
  },
  'a server is believed before it is known to be no older copy': {
    parts: { continuity: (timers) => new Trusting(timers) },
  },
  'a lease is as long as the database says, also where its clock was set back': {
    parts: {
      registrations: (registrations, place) =>
        rereading(registrations, (registered) => ({
          ...registered,
          replicas: registered.replicas.map((lease) => ({
            ...lease,
            leftMs: place.database.leftMs(lease.replica),
            renewals: undefined,
          })),
        })),
    },
  },
};

function rereading(
  registrations: Registrations,
  change: (registered: Registered) => Registered,
): Registrations {
  return {
    outcome: async (barrier) => {
      const read = await registrations.outcome(barrier);
      return { ...change(read), revision: read.revision };
    },
    registered: async () => change(await registrations.registered()),
  };
}

class OfAnyEpoch extends Acknowledgements {
  override clear(): void {
    // They are kept.
  }

  override note(replica: string, { revision }: Head): void {
    super.note(replica, { epoch: NO_EPOCH, revision });
  }

  override has(replica: string, { revision }: Head): boolean {
    return super.has(replica, { epoch: NO_EPOCH, revision });
  }

  override expect({ revision }: Head, replicas: readonly string[]): ReturnType<Acknowledgements['expect']> {
    return super.expect({ epoch: NO_EPOCH, revision }, replicas);
  }
}

class Trusting extends Continuity {
  override get server(): undefined {
    return undefined;
  }
}

/** FirstEpoch goes on as if the epoch at first were that of all that follows on the session. */
class FirstEpoch extends PassingSession {
  #epoch: string | undefined;

  override async head(): Promise<ServerHead> {
    const head = await this.session.head();
    this.#epoch ??= head.epoch;
    return { ...head, epoch: this.#epoch };
  }
}

class Unending extends PassingSession {
  override endEpoch(): Promise<void> {
    return Promise.resolve();
  }
}

class Uncounted extends PassingSession {
  #renewals = 1_000_000_000_000n;

  override async renew(terms: Parameters<PassingSession['renew']>[0]): Promise<bigint> {
    await this.session.renew(terms);
    return (this.#renewals += 1n);
  }
}

/** keepingMemory leaves out to clear memory when the head tells of another epoch on the same session. */
function keepingMemory(): { readonly parts: Parts } {
  const keeping = new WeakSet<Memory>();
  return {
    parts: {
      memory: (memory) => ({
        forget: (eviction) => memory.forget(eviction),
        clear: () => {
          if (!keeping.has(memory)) memory.clear();
        },
      }),
      connector: (connector, memory) =>
        each(connector, (session) => {
          keeping.delete(memory);
          return new KeepingMemory(session, () => keeping.add(memory));
        }),
    },
  };
}

class KeepingMemory extends PassingSession {
  readonly #keep: () => void;
  #epoch: string | undefined;

  constructor(session: SimulatedSession, keep: () => void) {
    super(session);
    this.#keep = keep;
  }

  override async head(): Promise<ServerHead> {
    const head = await this.session.head();
    if ((this.#epoch ?? head.epoch) !== head.epoch) this.#keep();
    this.#epoch = head.epoch;
    return head;
  }
}

/** withoutEpochs is the protocol as it was: numbers alone, of which nobody minds that they become less. */
function withoutEpochs(connector: SimulatedConnector): ReturnType<typeof each> {
  return {
    connect: async (replica, events, timeoutMs) => {
      const session = await connector.connect(
        replica,
        {
          ...events,
          onNotice: (notice) => {
            events.onNotice({ ...notice, epoch: NO_EPOCH });
          },
          onAcknowledged: (from, { revision }) => {
            events.onAcknowledged(from, { epoch: NO_EPOCH, revision }, []);
          },
        },
        timeoutMs,
      );
      return new NumbersAlone(session);
    },
  };
}

class NumbersAlone extends Uncounted {
  #highest = 0n;

  override async head(): Promise<ServerHead> {
    const head = await this.session.head();
    if (head.revision > this.#highest) this.#highest = head.revision;
    return { ...head, epoch: NO_EPOCH, revision: this.#highest };
  }
}
