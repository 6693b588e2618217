import type { Coming } from '../../../src/holders/holder-hub.js';
import type { Holder } from '../../../src/holders/holder.js';
import type { Grant, HolderOutlet, Invalidation, LookedUp } from '../../../src/holders/holder-outlet.js';
import type { Process } from './machine.js';
import type { Channel, Network } from './network.js';
import type { Scheduler } from './scheduler.js';
import type { SimulatedReplica, TokenRecord } from './simulated-replica.js';

/** Told is what a client hears on a stream. */
export interface Told {
  opened(isResumed: boolean): void;
  facts(facts: readonly LookedUp<TokenRecord>[]): void;
  granted(grant: Grant): void;
  invalidated(invalidation: Invalidation): void;
  leave(): void;
  lost(): void;
}

/** Near is the client's end. */
export interface Near {
  readonly name: string;
  readonly process: Process;
  readonly network: Network;
  readonly scheduler: Scheduler;
}

/** HoldConnection is one stream of HoldVerdicts over a network: the real holder at one end, a client at the other. */
export class HoldConnection {
  readonly replica: SimulatedReplica;
  readonly #near: Near;
  readonly #told: Told;
  readonly #up: Channel;
  readonly #down: Channel;
  #holder: Holder<TokenRecord> | undefined;
  #isOver = false;
  #isClosedThere = false;

  constructor(near: Near, replica: SimulatedReplica, told: Told) {
    const { up, down } = near.network.connect();
    this.replica = replica;
    this.#near = near;
    this.#told = told;
    this.#up = up;
    this.#down = down;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  open(coming: Coming | undefined): void {
    const { name } = this.#near;
    const identity = { clientId: name, label: name, agent: '', userId: 1_000n, profileId: undefined };
    this.#toReplica(() => {
      try {
        const { hub } = this.replica;
        this.#holder = hub.open(
          { ...identity, accountId: undefined, digest: undefined },
          coming,
          this.#outlet(),
        );
        this.#holder.trust();
      } catch {
        this.#close();
      }
    });
    if (this.replica.place.process.isDead) this.#down.send(() => this.#lost());
    const end = (): void => {
      this.replica.onEnd.delete(end);
      this.#down.send(() => this.#lost());
    };
    this.replica.onEnd.add(end);
  }

  lookUp(id: bigint, digest: string): void {
    this.#toReplica(() => {
      if (this.replica.parts.clients?.readsBeforeRegistering !== true) {
        this.#holder?.lookUp([{ id, digest }]);
        return;
      }
      const { policy } = this.replica;
      policy.get(digest).then(
        ({ record, stale }) => {
          // What was read before is taken for right, since the client is registered only now.
          const fact = record && { ...record, owner: { ...record.owner, current: true } };
          this.#near.scheduler.after(30, () => {
            this.replica.place.process.deliver(() => this.#lookUpLate(id, digest, fact, stale));
          });
        },
        () => undefined,
      );
    });
  }

  #lookUpLate(id: bigint, digest: string, record: TokenRecord | null, stale: boolean): void {
    const { policy } = this.replica;
    Object.assign(policy, { lookUp: () => undefined, get: () => Promise.resolve({ record, stale }) });
    this.#holder?.lookUp([{ id, digest }]);
    Reflect.deleteProperty(policy, 'lookUp');
    Reflect.deleteProperty(policy, 'get');
  }

  renew(number: bigint): void {
    this.#toReplica(() => this.#holder?.renew(number, []));
  }

  acknowledge(number: bigint): void {
    this.#toReplica(() => this.#holder?.acknowledge(number));
  }

  left(): void {
    this.#toReplica(() => this.#holder?.left());
    this.hangUp();
  }

  /** hangUp ends the stream from the client's side. */
  hangUp(): void {
    this.#isOver = true;
    this.hangUpOfMachine();
  }

  /** hangUpOfMachine is what the machine does for a client that is gone. */
  hangUpOfMachine(): void {
    this.#up.send(() => {
      this.replica.place.process.deliver(() => this.#close());
    });
  }

  #close(): void {
    if (this.#isClosedThere) return;
    this.#isClosedThere = true;
    if (this.#holder !== undefined) {
      if (this.replica.parts.clients?.forgetsWhenCut === true) this.#holder.left();
      this.replica.hub.close(this.#holder);
    }
    this.#down.send(() => this.#lost());
  }

  #lost(): void {
    this.#near.process.deliver(() => {
      if (this.#isOver) return;
      this.#isOver = true;
      this.#told.lost();
    });
  }

  #outlet(): HolderOutlet<TokenRecord> {
    const delayMs = this.replica.parts.clients?.delaysInvalidations;
    return {
      opened: (isResumed) => this.#toClient(() => this.#told.opened(isResumed)),
      facts: (facts) => this.#toClient(() => this.#told.facts(facts)),
      grant: (grant) => this.#toClient(() => this.#told.granted(grant)),
      invalidate: (invalidation) => {
        const send = (): void => this.#toClient(() => this.#told.invalidated(invalidation));
        if (delayMs === undefined) send();
        else this.#near.scheduler.after(delayMs, send);
      },
      leave: () => this.#toClient(() => this.#told.leave()),
      suspect: () => queueMicrotask(() => this.#holder?.trust()),
      end: () => this.#close(),
    };
  }

  #toReplica(arrive: () => void): void {
    this.#up.send(() => {
      this.replica.place.process.deliver(() => {
        if (!this.#isClosedThere) arrive();
      });
    });
  }

  #toClient(arrive: () => void): void {
    this.#down.send(() => {
      this.#near.process.deliver(() => {
        if (!this.#isOver) arrive();
      });
    });
  }
}
