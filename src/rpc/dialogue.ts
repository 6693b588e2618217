import type { ServerDuplexStream } from '@grpc/grpc-js';
import { KeywardError } from '../lib/errors.js';

/** What is needed of the library's stream. */
export type DialogueCall<Request> = Pick<
  ServerDuplexStream<Request, Buffer>,
  'cancelled' | 'write' | 'on' | 'removeAllListeners' | 'pause' | 'resume'
>;

/** Bytes that may wait for the client to take them. */
const MAX_WAITING = 4 * 1024 * 1024;

/** Dialogue is a call whose two streams are no questions and answers: each side sends what it has to say. */
export class Dialogue<Request> {
  readonly #call: DialogueCall<Request>;
  readonly #interruptions: readonly AbortSignal[];
  #waiting = 0;
  #isOver = false;
  #resolve: (outcome: 'ended' | 'cancelled') => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(call: DialogueCall<Request>, interruptions: readonly AbortSignal[]) {
    this.#call = call;
    this.#interruptions = interruptions;
  }

  /**
   * hold hands over each message, and tells when the client has ended its side, until `finish` or `end` is called or the
   * client has gone. It rejects with what `end` is given.
   */
  async hold(receive: (request: Request) => void, ended: () => void): Promise<'ended' | 'cancelled'> {
    if (this.#call.cancelled) return 'cancelled';
    const interrupt = (): void => {
      this.end(this.#interruptions.find(({ aborted }) => aborted)?.reason);
    };
    try {
      return await new Promise((resolve, reject) => {
        this.#resolve = resolve;
        this.#reject = reject;
        this.#call
          .on('cancelled', () => {
            resolve('cancelled');
          })
          .on('end', ended)
          .on('data', (request: Request) => {
            this.#receive(request, receive);
          });
        for (const each of this.#interruptions) each.addEventListener('abort', interrupt);
        if (this.#interruptions.some(({ aborted }) => aborted)) interrupt();
      });
    } finally {
      this.#isOver = true;
      for (const each of this.#interruptions) each.removeEventListener('abort', interrupt);
      for (const event of ['cancelled', 'end', 'data']) this.#call.removeAllListeners(event);
    }
  }

  /** send ends the dialogue with WATCH_TOO_SLOW where too much waits for the client already. */
  send(message: Buffer): void {
    if (this.#isOver) return;
    this.#waiting += message.length;
    this.#call.write(message, () => {
      this.#waiting -= message.length;
    });
    if (this.#waiting > MAX_WAITING)
      this.end(new KeywardError('WATCH_TOO_SLOW', 'The client takes what it is told too slowly.'));
  }

  /** read lets messages come, or keeps the client waiting. */
  read(isReading: boolean): void {
    if (this.#isOver) return;
    if (isReading) this.#call.resume();
    else this.#call.pause();
  }

  /** finish ends the dialogue without an error. */
  finish(): void {
    this.#isOver = true;
    this.#resolve('ended');
  }

  end(error: unknown): void {
    this.#isOver = true;
    this.#reject(error);
  }

  #receive(request: Request, receive: (request: Request) => void): void {
    if (this.#isOver) return;
    try {
      receive(request);
    } catch (error) {
      this.end(error);
    }
  }
}
