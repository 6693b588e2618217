import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
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
import { systemClocks } from '../transport/clock.js';

/** Texts in one message. */
const MAX_TEXTS = 500;
/** A stream that is not opened, or on which no renewal was answered, for so long is given up. */
const SILENCE_MS = 10_000;
/** How long a replica may take to end a stream that was left. */
const LEAVING_MS = 1_000;

/** Who is what a client calls itself. */
export type Who = Pick<HoldOpen, 'clientId' | 'label' | 'agent'>;

type HoldCall = ClientDuplexStream<HoldVerdictsRequest, HoldVerdictsResponse>;

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
  #renewals: NodeJS.Timeout | undefined;
  readonly #opening = setTimeout(() => this.cancel(), SILENCE_MS);
  #answeredAt = systemClocks.monotonicMs();

  constructor(call: HoldCall, memory: VerdictMemory, events: SessionEvents, who: Who) {
    this.#call = call;
    this.#memory = memory;
    this.#events = events;
    const { stream, open } = memory.openStream();
    this.stream = stream;
    call.on('data', (message: HoldVerdictsResponse) => this.#take(message));
    call.on('error', (error: ServiceError | Error) => this.#end(toCallError(error)));
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
    if (this.#texts.length === 1) setImmediate(() => this.#sendTexts());
  }

  /** leave ends the stream in order: no lease of it is used any more. */
  leave(): void {
    this.send({ left: {} });
    clearInterval(this.#renewals);
    if (this.#hasEnded || this.#hasLeft) return;
    this.#hasLeft = true;
    this.#call.end();
    setTimeout(() => this.cancel(), LEAVING_MS).unref();
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
    else if (message.facts !== undefined) this.#memory.facts(this.stream, message.facts);
    else if (message.accessed !== undefined) this.#memory.secrets.accessed(this.stream, message.accessed);
    else if (message.invalidation !== undefined) this.#invalidate(message.invalidation);
    else if (message.leave !== undefined) this.#events.leave(this);
    else if (message.grant !== undefined && !this.#hasLeft) {
      this.#answeredAt = systemClocks.monotonicMs();
      if (this.#memory.grant(this.stream, message.grant)) this.#events.granted(this);
    }
  }

  #open(opened: HoldOpened): void {
    this.#isOpen = true;
    clearTimeout(this.#opening);
    this.#events.forgotten(this.#memory.opened(opened));
    this.#answeredAt = systemClocks.monotonicMs();
    this.#renew();
    this.#renewals = setInterval(() => this.#renew(), Math.max(opened.renewEvery ?? 1_000, 10));
  }

  #renew(): void {
    if (systemClocks.monotonicMs() - this.#answeredAt > SILENCE_MS) this.cancel();
    else this.send({ renewal: this.#memory.renewal(this.stream) });
  }

  #invalidate(invalidation: HoldInvalidation): void {
    const { acknowledgement, ...forgotten } = this.#memory.invalidate(this.stream, invalidation);
    this.send({ acknowledgement });
    this.#events.forgotten(forgotten);
  }

  #end(error: KeywardCallError | undefined): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#opening);
    clearInterval(this.#renewals);
    this.#memory.streamEnded(this.stream);
    this.#call.cancel();
    this.#events.ended(this, error);
  }
}
