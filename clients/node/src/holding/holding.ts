import { randomUUID } from 'node:crypto';
import { TokenServiceDefinition } from '../gen/keyward/token/v1/token_service.js';
import { VerdictMemory, type Forgotten, type HeldAtMost } from '../memory/verdict-memory.js';
import { TextKeys } from '../texts.js';
import type { KeywardCallError } from '../transport/call-error.js';
import { wireMethod } from '../transport/definitions.js';
import { waitMs } from '../transport/safety.js';
import type { Server } from '../transport/server.js';
import { StatusCode } from '../transport/status-code.js';
import type { Transport } from '../transport/transport.js';
import { VERSION } from '../version.js';
import { Session, type SessionEvents } from './session.js';
import { systemTimers, type Timer, type Timers } from './timers.js';

const HOLD = wireMethod(TokenServiceDefinition, TokenServiceDefinition.methods.holdVerdicts);
const DEFAULT_LABEL = 'node';
const LABEL = /^[A-Za-z0-9_.:/-]{1,63}$/;
/** How long a service is left alone that lets this caller hold nothing. */
const REFUSED_MS = 60_000;
const REFUSALS = new Set<number>([
  StatusCode.PERMISSION_DENIED,
  StatusCode.UNIMPLEMENTED,
  StatusCode.INVALID_ARGUMENT,
]);

/** The values of secrets that a stream may name when it is opened. */
export const MAX_SECRETS = 1_000;

/** HoldingUser is one of those who use a client's memory. */
export interface HoldingUser {
  /** What people call the program; all who name one must name the same. */
  readonly label?: string | undefined;
  /** What it adds to how much the memory may hold. */
  readonly wanted: Required<HeldAtMost>;
  /** Is told what was forgotten because a replica said so. */
  forgotten(forgotten: Forgotten): void;
  /** Is told of each lease that is granted. */
  granted?(): void;
}

/**
 * Holding is the memory of a client, and what keeps it right: a stream to some replica, or to another one where that ends. It is opened
 * for the first who uses it, and closed by the last.
 */
export class Holding {
  readonly memory: VerdictMemory;
  /** What the memory knows texts by. */
  readonly keys = new TextKeys();
  readonly #streams: Pick<Transport, 'duplex'>;
  readonly #timers: Timers;
  readonly #clientId = randomUUID();
  readonly #users = new Set<HoldingUser>();
  #label = DEFAULT_LABEL;
  readonly #leaving = new Set<Session>();
  #current: Session | undefined;
  /** How often it was begun to open a stream, or given up. */
  #attempts = 0;
  /** The server of the last stream. */
  #server: Server | undefined;
  #failures = 0;
  #reconnect: Timer | undefined;

  constructor(streams: Pick<Transport, 'duplex'>, timers: Timers = systemTimers) {
    this.#streams = streams;
    this.#timers = timers;
    this.memory = new VerdictMemory({ clocks: timers });
  }

  /** session is the stream on which what is asked for may be kept; none while there is no lease. */
  get session(): Session | undefined {
    return this.memory.isLeased && this.#current?.isOpen === true ? this.#current : undefined;
  }

  /**
   * join lets one more use it.
   *
   * @throws Error if the label is none, or not that of the others
   */
  join(user: HoldingUser): void {
    const isFirst = this.#users.size === 0;
    const label = user.label ?? (isFirst ? DEFAULT_LABEL : this.#label);
    if (!LABEL.test(label)) throw new Error('the label must be 1 to 63 characters of [A-Za-z0-9_.:/-]');
    if (!isFirst && label !== this.#label)
      throw new Error(`the label of this client is ${this.#label} already`);
    this.#label = label;
    this.#users.add(user);
    this.#limit();
    if (isFirst) this.#connect();
  }

  /** leave is for who does not use it any more. The last forgets everything, and tells the replica so. */
  leave(user: HoldingUser): void {
    if (!this.#users.delete(user)) return;
    if (this.#users.size === 0) this.close();
    else this.#limit();
  }

  /** close ends it for all. */
  close(): void {
    this.#users.clear();
    this.#attempts += 1;
    this.#reconnect?.cancel();
    this.memory.close();
    for (const session of [this.#current, ...this.#leaving]) session?.leave();
    this.#current = undefined;
  }

  #limit(): void {
    const wanted = [...this.#users].map((user) => user.wanted);
    const maxEntries = wanted.reduce((sum, each) => sum + each.maxEntries, 0);
    const maxSecrets = wanted.reduce((sum, each) => sum + each.maxSecrets, 0);
    this.memory.limit({ maxEntries, maxSecrets: Math.min(maxSecrets, MAX_SECRETS) });
  }

  #connect(): void {
    const attempt = (this.#attempts += 1);
    const who = { clientId: this.#clientId, label: this.#label, agent: `keyward-node/${VERSION}` };
    this.#streams.duplex(HOLD, {}, this.#server).then(
      ({ call, server }) => {
        if (attempt !== this.#attempts) {
          call.on('error', () => undefined).cancel();
          return;
        }
        this.#server = server;
        this.#current = new Session(call, this.memory, this.#events, who, this.#timers);
      },
      () => {
        if (attempt === this.#attempts) this.#connectLater();
      },
    );
  }

  readonly #events: SessionEvents = {
    granted: (session) => {
      if (session !== this.#current) return;
      this.#failures = 0;
      for (const other of this.#leaving) other.leave();
      this.#leaving.clear();
      for (const user of this.#users) user.granted?.();
    },
    leave: (session) => {
      if (session !== this.#current) return;
      this.#leaving.add(session);
      this.#connect();
    },
    forgotten: (forgotten) => {
      for (const user of this.#users) user.forgotten(forgotten);
    },
    ended: (session, error) => {
      // In place of one that was to be left another one is being opened already.
      const wasLeaving = this.#leaving.delete(session);
      if (session === this.#current && !wasLeaving) this.#connectLater(error);
    },
  };

  #connectLater(error?: KeywardCallError): void {
    this.#current = undefined;
    const isRefused = error !== undefined && REFUSALS.has(error.code);
    const wait = isRefused ? REFUSED_MS : waitMs(this.#failures, this.#timers.random());
    this.#failures += 1;
    this.#reconnect?.cancel();
    this.#reconnect = this.#timers.after(wait, () => this.#connect());
  }
}
