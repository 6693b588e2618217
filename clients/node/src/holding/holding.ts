import { randomUUID } from 'node:crypto';
import { TokenServiceDefinition } from '../gen/keyward/token/v1/token_service.js';
import { VerdictMemory, type Forgotten } from '../memory/verdict-memory.js';
import type { KeywardCallError } from '../transport/call-error.js';
import { wireMethod } from '../transport/definitions.js';
import { waitMs } from '../transport/safety.js';
import type { Server } from '../transport/server.js';
import { StatusCode } from '../transport/status-code.js';
import type { Transport } from '../transport/transport.js';
import { VERSION } from '../version.js';
import { Session, type SessionEvents, type Who } from './session.js';
import { systemTimers, type Timer, type Timers } from './timers.js';

const HOLD = wireMethod(TokenServiceDefinition, TokenServiceDefinition.methods.holdVerdicts);
const LABEL = /^[A-Za-z0-9_.:/-]{1,63}$/;
/** How long a service is left alone that lets this caller hold nothing. */
const REFUSED_MS = 60_000;
const REFUSALS = new Set<number>([
  StatusCode.PERMISSION_DENIED,
  StatusCode.UNIMPLEMENTED,
  StatusCode.INVALID_ARGUMENT,
]);

export interface HoldingOptions {
  /** What people call this program, in metrics and `keyward status`: 1 to 63 of `[A-Za-z0-9_.:/-]`; `node` if not given. */
  readonly label?: string;
  readonly maxEntries?: number;
  readonly maxSecrets?: number;
}

/** Holding keeps a client's memory right: it holds a stream to some replica, and goes to another one where that ends. */
export class Holding {
  readonly memory: VerdictMemory;
  /** Is told what was forgotten because a replica said so. */
  onForgotten: (forgotten: Forgotten) => void = () => undefined;
  /** Is told of each lease that is granted. */
  onGranted: () => void = () => undefined;
  readonly #streams: Pick<Transport, 'duplex'>;
  readonly #timers: Timers;
  readonly #who: Who;
  readonly #leaving = new Set<Session>();
  #current: Session | undefined;
  /** The server of the last stream. */
  #server: Server | undefined;
  #isClosed = false;
  #failures = 0;
  #reconnect: Timer | undefined;

  /** @throws Error if the label is none */
  constructor(
    streams: Pick<Transport, 'duplex'>,
    { label = 'node', ...limits }: HoldingOptions,
    timers: Timers = systemTimers,
  ) {
    if (!LABEL.test(label)) throw new Error('the label must be 1 to 63 characters of [A-Za-z0-9_.:/-]');
    this.#streams = streams;
    this.#timers = timers;
    this.#who = { clientId: randomUUID(), label, agent: `keyward-node/${VERSION}` };
    this.memory = new VerdictMemory({ clocks: timers, ...limits });
    this.#connect();
  }

  /** session is the stream on which what is asked for may be kept; none while there is no lease. */
  get session(): Session | undefined {
    return this.memory.isLeased && this.#current?.isOpen === true ? this.#current : undefined;
  }

  /** close forgets everything, and tells the replica so. */
  close(): void {
    this.#isClosed = true;
    this.#reconnect?.cancel();
    this.memory.close();
    for (const session of [this.#current, ...this.#leaving]) session?.leave();
  }

  #connect(): void {
    this.#streams.duplex(HOLD, {}, this.#server).then(
      ({ call, server }) => {
        if (this.#isClosed) {
          call.on('error', () => undefined).cancel();
          return;
        }
        this.#server = server;
        this.#current = new Session(call, this.memory, this.#events, this.#who, this.#timers);
      },
      () => this.#connectLater(),
    );
  }

  readonly #events: SessionEvents = {
    granted: (session) => {
      if (session !== this.#current) return;
      this.#failures = 0;
      for (const other of this.#leaving) other.leave();
      this.#leaving.clear();
      this.onGranted();
    },
    leave: (session) => {
      if (session !== this.#current || this.#isClosed) return;
      this.#leaving.add(session);
      this.#connect();
    },
    forgotten: (forgotten) => this.onForgotten(forgotten),
    ended: (session, error) => {
      this.#leaving.delete(session);
      if (session === this.#current) this.#connectLater(error);
    },
  };

  #connectLater(error?: KeywardCallError): void {
    this.#current = undefined;
    if (this.#isClosed) return;
    const isRefused = error !== undefined && REFUSALS.has(error.code);
    const wait = isRefused ? REFUSED_MS : waitMs(this.#failures, this.#timers.random());
    this.#failures += 1;
    this.#reconnect?.cancel();
    this.#reconnect = this.#timers.after(wait, () => this.#connect());
  }
}
