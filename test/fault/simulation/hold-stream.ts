import { EventEmitter } from 'node:events';
import {
  HoldRefusal,
  type HoldVerdictsResponse,
} from '../../../clients/node/src/gen/keyward/token/v1/hold_verdicts.js';
import { TokenServiceDefinition } from '../../../clients/node/src/gen/keyward/token/v1/token_service.js';
import { wireMethod } from '../../../clients/node/src/transport/definitions.js';
import type { Transport } from '../../../clients/node/src/transport/transport.js';
import type { HoldVerdictsRequest } from '../../../src/gen/keyward/token/v1/hold_verdicts.js';
import { HOLD_VERDICTS } from '../../../src/holders/hold-codec.js';
import { KeywardError } from '../../../src/lib/errors.js';
import { Dialogue, type DialogueCall } from '../../../src/rpc/dialogue.js';
import type { Random } from '../../support/random.js';
import type { Process } from './machine.js';
import type { Channel, Network } from './network.js';
import type { Row } from './rows.js';
import type { SimulatedReplica } from './simulated-replica.js';

const WIRE = wireMethod(TokenServiceDefinition, TokenServiceDefinition.methods.holdVerdicts);

/** After so long without a word from the machine at the other end, keepalive takes a connection for dead. */
const KEEPALIVE_MS = 3_000;
/** How streams end that the service ends as it should. */
const EXPECTED = new Set([
  'CREDENTIALS_REFUSED',
  'DATABASE_UNAVAILABLE',
  'STOPPING',
  'HOLDER_REPLACED',
  'WATCH_TOO_SLOW',
]);

/** Near is the client's end. */
export interface Near {
  readonly name: string;
  readonly process: Process;
  readonly network: Network;
  /** The row of the token that the client presents. */
  readonly caller: Row;
}

/** HoldStreams is how a client reaches the replicas. */
export class HoldStreams {
  /** Those that are open. */
  readonly open = new Set<HoldStream>();
  /** Whether the last answer to a renewal was that the client was too slow too often. */
  isTooSlow = false;
  readonly #near: Near;
  readonly #random: Random;
  readonly #replicas: () => readonly SimulatedReplica[];

  constructor(near: Near, random: Random, replicas: () => readonly SimulatedReplica[]) {
    this.#near = near;
    this.#random = random;
    this.#replicas = replicas;
  }

  /** transport is this as clients see it. A server that was left is, as with the real one, not chosen if there is another. */
  get transport(): Pick<Transport, 'duplex'> {
    return { duplex: (_method, _options, left) => Promise.resolve(this.#dial(left)) };
  }

  #dial(left: object | undefined): { call: never; server: never } {
    const server = this.#random.pick(this.#replicas().filter((replica) => replica !== left));
    const stream = new HoldStream(this.#near, server, {
      received: ({ grant }) => {
        if (grant !== undefined) this.isTooSlow = grant.refusal === HoldRefusal.TOO_SLOW;
      },
      ended: () => this.open.delete(stream),
    });
    this.open.add(stream);
    // They are the library's as far as a client uses them.
    return { call: stream as never, server: server as never };
  }
}

interface StreamEvents {
  received(message: HoldVerdictsResponse): void;
  ended(): void;
}

/** HoldStream is the client's end of a stream of HoldVerdicts over a network. At the other end is the real handler. */
export class HoldStream extends EventEmitter {
  readonly #near: Near;
  readonly #replica: SimulatedReplica;
  readonly #events: StreamEvents;
  readonly #up: Channel;
  readonly #down: Channel;
  readonly #far: FarEnd;
  #isOver = false;

  constructor(near: Near, replica: SimulatedReplica, events: StreamEvents) {
    super();
    const { up, down } = near.network.connect();
    this.#near = near;
    this.#replica = replica;
    this.#events = events;
    this.#up = up;
    this.#down = down;
    this.#far = new FarEnd((bytes) => this.#toClient(WIRE.responseDeserialize(bytes)));
    this.#toReplica(() => void this.#serve());
    const { process } = replica.place;
    if (process.isDead) this.#down.send(() => this.#end(new Error('refused')));
    process.onEnd.add(this.#lost);
  }

  write(message: Parameters<typeof WIRE.requestSerialize>[0]): void {
    const bytes = Buffer.from(WIRE.requestSerialize(message));
    const request = HOLD_VERDICTS.requestDeserialize(bytes);
    const { arrives } = this.#replica.parts.clients ?? {};
    const arrive = (): void => this.#far.take('data', request);
    this.#toReplica(arrives === undefined ? arrive : () => arrives(request, this.#replica, arrive));
  }

  end(): void {
    this.#toReplica(() => this.#far.take('end'));
  }

  cancel(): void {
    this.hangUp();
    queueMicrotask(() => this.#end(new Error('cancelled')));
  }

  /** hangUp is what the machine does for a client that is gone. */
  hangUp(): void {
    this.#toReplica(() => this.#far.cancel());
  }

  async #serve(): Promise<void> {
    const replica = this.#replica;
    const { caller } = this.#near;
    const authenticate = (): ReturnType<SimulatedReplica['authenticate']> => replica.authenticate(caller);
    try {
      const dialogue = new Dialogue(this.#far as unknown as DialogueCall<HoldVerdictsRequest>, []);
      const first = await authenticate();
      const reauthorize = (): ReturnType<SimulatedReplica['authenticate']> =>
        replica.parts.clients?.keepsRights === true ? Promise.resolve(first) : authenticate();
      const live = { reauthorize, gone: new AbortController().signal, begin: () => () => undefined };
      const conversation = replica.holding.converse(dialogue, first, live);
      this.#far.resume();
      await conversation;
      this.#down.send(() => this.#end(undefined));
    } catch (error) {
      if (!(error instanceof KeywardError) || !EXPECTED.has(error.reason)) throw error;
      this.#down.send(() => this.#end(new Error(error.reason)));
    }
  }

  /** #lost: the machine of a process that is gone says so, if it is there; otherwise nobody does. */
  readonly #lost = (doesMachineLive: boolean): void => {
    if (doesMachineLive) this.#down.send(() => this.#end(new Error('lost')));
    else this.#near.process.after(KEEPALIVE_MS, () => this.#end(new Error('silent')));
  };

  #end(error: Error | undefined): void {
    this.#near.process.deliver(() => {
      if (this.#isOver) return;
      this.#isOver = true;
      this.#replica.place.process.onEnd.delete(this.#lost);
      this.#events.ended();
      if (error === undefined) this.emit('end');
      else this.emit('error', error);
    });
  }

  #toReplica(arrive: () => void): void {
    this.#up.send(() => this.#replica.place.process.deliver(arrive));
  }

  #toClient(message: HoldVerdictsResponse): void {
    const { process } = this.#near;
    const { receives } = this.#replica.parts.clients ?? {};
    const deliver = (): void => {
      process.deliver(() => {
        if (this.#isOver) return;
        this.#events.received(message);
        this.emit('data', message);
      });
    };
    this.#down.send(receives === undefined ? deliver : () => receives(message, process, deliver));
  }
}

/** FarEnd is the replica's end, as the library would give it. Nothing is read before the credentials are judged. */
class FarEnd extends EventEmitter {
  cancelled = false;
  readonly #send: (bytes: Buffer) => void;
  #waiting: (() => void)[] = [];
  #isPaused = true;

  constructor(send: (bytes: Buffer) => void) {
    super();
    this.#send = send;
  }

  take(event: 'data' | 'end', message?: HoldVerdictsRequest): void {
    const emit = (): boolean => this.emit(event, message);
    if (this.#isPaused) this.#waiting.push(emit);
    else emit();
  }

  cancel(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    this.#waiting = [];
    this.emit('cancelled', 'cancelled');
  }

  write(bytes: Buffer, written: () => void): boolean {
    if (!this.cancelled) this.#send(bytes);
    written();
    return true;
  }

  pause(): this {
    this.#isPaused = true;
    return this;
  }

  resume(): this {
    if (!this.#isPaused) return this;
    this.#isPaused = false;
    queueMicrotask(() => {
      while (!this.#isPaused) {
        const next = this.#waiting.shift();
        if (next === undefined) return;
        next();
      }
    });
    return this;
  }
}
