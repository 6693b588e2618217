import type { Invalidation } from '../../../src/holders/holder-outlet.js';
import type { Random } from '../../support/random.js';
import { ClientMemory } from './client-memory.js';
import { HoldConnection, type Near } from './hold-connection.js';
import type { ClientParts, SimulatedReplica, TokenRecord } from './simulated-replica.js';

/** Answered is told what a client answers. */
type Answered = (record: TokenRecord | null, isStale: boolean) => void;

interface Stream {
  readonly number: number;
  readonly connection: HoldConnection;
  heardMs: number;
  lastRenewal: bigint;
  isLeaving: boolean;
}

const RENEW_EVERY_MS = 900;
/** Without a word for so long a stream is given up. */
const SILENCE_MS = 2_000;
const RETRY_MS = 100;

/** SimulatedClient is one process that holds verdicts: it has one stream, and while it goes to another replica two. */
export class SimulatedClient {
  readonly near: Near;
  readonly #random: Random;
  readonly #replicas: () => readonly SimulatedReplica[];
  readonly #memory: ClientMemory;
  readonly #streams = new Map<number, Stream>();
  readonly #asked = new Map<bigint, Answered>();
  /** The stream under whose lease it answers, or did at last. */
  #current: number | undefined;
  #isTooSlow = false;
  #numbers = 0;
  #ids = 0n;

  constructor(near: Near, random: Random, replicas: () => readonly SimulatedReplica[], parts: ClientParts) {
    this.near = near;
    this.#random = random;
    this.#replicas = replicas;
    this.#memory = new ClientMemory(near.process, parts);
    this.#dial();
    this.#tick();
  }

  /** isWell tells whether it answers from memory, or may not because faults have made it slow too often. */
  get isWell(): boolean {
    const hasLease = this.#current !== undefined && this.#memory.hasLease(this.#current);
    return hasLease || this.#isTooSlow;
  }

  /** connections are those that are open. */
  get connections(): HoldConnection[] {
    return [...this.#streams.values()].map(({ connection }) => connection);
  }

  /** validate answers from memory, or by a look-up if there is a stream to ask. True for memory. */
  validate(digest: string, answered: Answered): boolean {
    const record = this.#memory.validate(digest);
    if (record !== undefined) {
      answered(record, false);
      return true;
    }
    const stream = this.#current === undefined ? undefined : this.#streams.get(this.#current);
    if (stream === undefined) return false;
    this.#ids += 1n;
    this.#asked.set(this.#ids, answered);
    this.#memory.lookUp(stream.number, this.#ids, digest);
    stream.connection.lookUp(this.#ids, digest);
    return false;
  }

  #tick(): void {
    const { process } = this.near;
    process.after(RENEW_EVERY_MS, () => {
      this.#tick();
      for (const stream of [...this.#streams.values()]) {
        if (process.monotonicMs() - stream.heardMs > SILENCE_MS) this.#giveUp(stream);
        else this.#renew(stream);
      }
    });
  }

  #renew(stream: Stream): void {
    stream.lastRenewal += 1n;
    this.#memory.renew(stream.number, stream.lastRenewal);
    stream.connection.renew(stream.lastRenewal);
  }

  #dial(): void {
    const { process } = this.near;
    const replica = this.#random.pick(this.#replicas());
    this.#numbers += 1;
    const number = this.#numbers;
    const hear = <Args extends unknown[]>(run: (stream: Stream, ...args: Args) => void) => {
      return (...args: Args): void => {
        const stream = this.#streams.get(number);
        if (stream === undefined) return;
        stream.heardMs = process.monotonicMs();
        run(stream, ...args);
      };
    };
    const connection = new HoldConnection(this.near, replica, {
      opened: hear((stream, isResumed: boolean) => {
        this.#memory.opened(number, isResumed);
        this.#current ??= number;
        this.#renew(stream);
      }),
      facts: hear((_stream, facts: Parameters<ClientMemory['facts']>[1]) => {
        this.#memory.facts(number, facts);
        for (const { id, fact, isStale } of facts) {
          if (fact !== undefined) this.#asked.get(id)?.(fact, isStale);
          this.#asked.delete(id);
        }
      }),
      granted: hear((_stream, grant: Parameters<ClientMemory['granted']>[1]) => {
        this.#memory.granted(number, grant);
        this.#isTooSlow = 'refusal' in grant.granted && grant.granted.refusal === 'TOO_SLOW';
        if (this.#memory.hasLease(number)) this.#goOver(number);
      }),
      invalidated: hear((_stream, invalidation: Invalidation) => {
        this.#memory.forget(number, invalidation);
        connection.acknowledge(invalidation.number);
      }),
      leave: hear((stream) => {
        if (stream.isLeaving) return;
        stream.isLeaving = true;
        this.#dial();
      }),
      lost: hear((stream) => this.#giveUp(stream)),
    });
    this.#streams.set(number, {
      number,
      connection,
      heardMs: process.monotonicMs(),
      lastRenewal: 0n,
      isLeaving: false,
    });
    connection.open(this.#memory.begin(number, this.#current));
  }

  /** #goOver answers under the lease of a stream from now on, and leaves the others. */
  #goOver(number: number): void {
    this.#current = number;
    for (const stream of [...this.#streams.values()]) {
      if (stream.number >= number) continue;
      this.#streams.delete(stream.number);
      this.#memory.over(stream.number);
      stream.connection.left();
    }
  }

  #giveUp(stream: Stream): void {
    stream.connection.hangUp();
    this.#streams.delete(stream.number);
    this.#memory.over(stream.number);
    this.near.process.after(RETRY_MS * (1 + this.#random.below(5)), () => {
      if ([...this.#streams.values()].every(({ isLeaving }) => isLeaving)) this.#dial();
    });
  }
}
