import type {
  HoldInvalidation,
  HoldOpen,
  HoldOpened,
  HoldText,
  HoldVerdictsRequest,
  HoldVerdictsResponse,
} from '../gen/keyward/token/v1/hold_verdicts.js';
import type { Forgotten, VerdictMemory } from '../memory/verdict-memory.js';
import { toCallError, type KeywardCallError } from '../transport/call-error.js';
import type { DuplexCall } from '../transport/transport.js';
import type { Timer, Timers } from './timers.js';

/** Texts in one message. */
const MAX_TEXTS = 500;
/** A stream that is not opened, or on which no renewal was answered, for so long is given up. */
const SILENCE_MS = 10_000;
/** How long a replica may take to end a stream that was left. */
const LEAVING_MS = 1_000;

/** Who is what a client calls itself. */
export type Who = Pick<HoldOpen, 'clientId' | 'label' | 'agent'>;

type HoldCall = DuplexCall<HoldVerdictsRequest, HoldVerdictsResponse>;

/** SessionEvents is who is told what becomes of a stream. */
export interface SessionEvents {
  /** A lease was granted. */
  granted(session: Session): void;
  /** The replica asks to go to another one. */
  leave(session: Session): void;
  /** Something was forgotten because the replica said so. */
  forgotten(forgotten: Forgotten): void;
  /** Nothing comes any more; `error` is how the stream ended, if it was no end in order. */
  ended(session: Session, error: KeywardCallError | undefined): void;
}

/** Session is one stream to one replica. It hands every message to the memory, in the order in which they come. */
export class Session {
  /** The number of the stream, as memory counts them. */
  readonly stream: number;
  readonly #call: HoldCall;
  readonly #memory: VerdictMemory;
  readonly #events: SessionEvents;
  #texts: HoldText[] = [];
  #isOpen = false;
  /** True once this side is ended: nothing more can be said. */
  #hasLeft = false;
  #hasEnded = false;
  readonly #timers: Timers;
  #renewal: Timer | undefined;
  /** What ends a stream that is not opened, or not ended once it was left. */
  #limit: Timer;
  #answeredAt: number;

  constructor(call: HoldCall, memory: VerdictMemory, events: SessionEvents, who: Who, timers: Timers) {
    this.#call = call;
    this.#memory = memory;
    this.#events = events;
    this.#timers = timers;
    this.#limit = timers.after(SILENCE_MS, () => this.cancel());
    this.#answeredAt = timers.monotonicMs();
    const { stream, open } = memory.openStream();
    this.stream = stream;
    call.on('data', (message) => this.#take(message));
    call.on('error', (error) => this.#end(toCallError(error)));
    call.on('end', () => this.#end(undefined));
    this.send({ open: { ...who, ...open } });
  }

  /** Whether the replica has told its terms, so that it may be asked. */
  get isOpen(): boolean {
    return this.#isOpen && !this.#hasEnded;
  }

  send(message: HoldVerdictsRequest): void {
    if (!this.#hasEnded && !this.#hasLeft) this.#call.write(message);
  }

  /** lookUp sends a text with the others of this turn of the event loop. */
  lookUp(text: HoldText): void {
    this.#texts.push(text);
    if (this.#texts.length === 1) this.#timers.soon(() => this.#sendTexts());
  }

  /** leave ends the stream in order: no lease of it is used any more. */
  leave(): void {
    this.send({ left: {} });
    this.#renewal?.cancel();
    if (this.#hasEnded || this.#hasLeft) return;
    this.#hasLeft = true;
    this.#call.end();
    this.#limit.cancel();
    this.#limit = this.#timers.after(LEAVING_MS, () => this.cancel());
  }

  cancel(): void {
    this.#call.cancel();
  }

  #sendTexts(): void {
    const texts = this.#texts;
    this.#texts = [];
    for (let at = 0; at < texts.length; at += MAX_TEXTS)
      this.send({ lookUp: { texts: texts.slice(at, at + MAX_TEXTS) } });
  }

  #take(message: HoldVerdictsResponse): void {
    if (this.#hasEnded) return;
    if (message.opened !== undefined) this.#open(message.opened);
    else if (message.facts !== undefined) {
      for (const text of this.#memory.facts(this.stream, message.facts)) this.lookUp(text);
    } else if (message.accessed !== undefined) {
      const access = this.#memory.secrets.accessed(this.stream, message.accessed);
      if (access !== undefined) this.send({ access });
    } else if (message.invalidation !== undefined) this.#invalidate(message.invalidation);
    else if (message.leave !== undefined) this.#events.leave(this);
    else if (message.grant !== undefined && !this.#hasLeft) {
      this.#answeredAt = this.#timers.monotonicMs();
      if (this.#memory.grant(this.stream, message.grant)) this.#events.granted(this);
    }
  }

  #open(opened: HoldOpened): void {
    if (this.#hasLeft) return;
    this.#isOpen = true;
    this.#limit.cancel();
    this.#events.forgotten(this.#memory.opened(opened));
    this.#answeredAt = this.#timers.monotonicMs();
    this.#renew(Math.max(opened.renewEvery ?? 1_000, 10));
  }

  #renew(everyMs: number): void {
    if (this.#hasEnded || this.#hasLeft) return;
    if (this.#timers.monotonicMs() - this.#answeredAt > SILENCE_MS) {
      this.cancel();
      return;
    }
    this.send({ renewal: this.#memory.renewal(this.stream) });
    this.#renewal = this.#timers.after(everyMs, () => this.#renew(everyMs));
  }

  #invalidate(invalidation: HoldInvalidation): void {
    const { acknowledgement, ...forgotten } = this.#memory.invalidate(this.stream, invalidation);
    this.send({ acknowledgement });
    this.#events.forgotten(forgotten);
  }

  #end(error: KeywardCallError | undefined): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#limit.cancel();
    this.#renewal?.cancel();
    this.#memory.streamEnded(this.stream);
    this.#call.cancel();
    this.#events.ended(this, error);
  }
}
