import type { ServerDuplexStream } from '@grpc/grpc-js';

/** What is needed of the library's stream. */
export type BidirectionalCall<Request, Response> = Pick<
  ServerDuplexStream<Request, Response>,
  'cancelled' | 'write' | 'on' | 'removeAllListeners' | 'pause' | 'resume'
>;

/** Requests that are worked on at once; no more are read until the first of them is answered. */
const MAX_UNDER_WAY = 100;

/** Slot is the place of one answer. */
type Slot<Response> = { readonly answer: Response } | { readonly error: unknown } | 'under way';

/**
 * answerEach answers each request of a stream, in their order, until the client has ended its side and all are answered,
 * or has gone. Requests are read only while few are under way and the client takes its answers. The first that
 * fails, or one of the `interruptions`, ends it, once those before it are answered.
 */
export function answerEach<Request, Response>(
  call: BidirectionalCall<Request, Response>,
  answer: (request: Request) => Response | Promise<Response>,
  interruptions: readonly AbortSignal[],
): Promise<'answered' | 'cancelled'> {
  if (call.cancelled) return Promise.resolve('cancelled');
  return new Conversation(call, answer).hold(interruptions);
}

class Conversation<Request, Response> {
  readonly #call: BidirectionalCall<Request, Response>;
  readonly #answer: (request: Request) => Response | Promise<Response>;
  /** In the order of the requests; the first is never one that is there already. */
  readonly #slots: { content: Slot<Response> }[] = [];
  #hasRoom = true;
  /** True once no further request is looked at. */
  #isClosing = false;
  #resolve: (outcome: 'answered' | 'cancelled') => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(
    call: BidirectionalCall<Request, Response>,
    answer: (request: Request) => Response | Promise<Response>,
  ) {
    this.#call = call;
    this.#answer = answer;
  }

  async hold(interruptions: readonly AbortSignal[]): Promise<'answered' | 'cancelled'> {
    // Not AbortSignal.any: what that makes of a signal that lives long is never forgotten.
    const interrupt = (): void => {
      this.#close({ error: interruptions.find(({ aborted }) => aborted)?.reason });
    };
    try {
      return await new Promise((resolve, reject) => {
        this.#resolve = resolve;
        this.#reject = reject;
        this.#call
          .on('cancelled', () => {
            resolve('cancelled');
          })
          .on('drain', () => {
            this.#hasRoom = true;
            this.#regulate();
          })
          .on('end', () => {
            this.#close('ended');
          })
          .on('data', (request: Request) => {
            if (!this.#isClosing) this.#receive(request);
          });
        for (const each of interruptions) each.addEventListener('abort', interrupt);
        if (interruptions.some(({ aborted }) => aborted)) interrupt();
      });
    } finally {
      for (const each of interruptions) each.removeEventListener('abort', interrupt);
      for (const event of ['cancelled', 'drain', 'end', 'data']) this.#call.removeAllListeners(event);
    }
  }

  #receive(request: Request): void {
    let answer: Response | Promise<Response>;
    try {
      answer = this.#answer(request);
    } catch (error) {
      this.#close({ error });
      return;
    }
    if (!(answer instanceof Promise)) {
      if (this.#slots.length === 0) this.#write(answer);
      else this.#slots.push({ content: { answer } });
    } else {
      this.#await(answer);
    }
    this.#regulate();
  }

  #await(answer: Promise<Response>): void {
    const slot: { content: Slot<Response> } = { content: 'under way' };
    this.#slots.push(slot);
    const fill = (content: Slot<Response>): void => {
      slot.content = content;
      this.#flush();
      this.#regulate();
    };
    answer.then(
      (value) => {
        fill({ answer: value });
      },
      (error: unknown) => {
        fill({ error });
      },
    );
  }

  /** #close looks at no further request, and ends when all so far are answered. */
  #close(end: { readonly error: unknown } | 'ended'): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (end !== 'ended') this.#slots.push({ content: end });
    this.#flush();
  }

  /** #flush writes the answers that those before them do not hold up any more. */
  #flush(): void {
    for (let first = this.#slots[0]; first !== undefined; first = this.#slots[0]) {
      if (first.content === 'under way') return;
      if ('error' in first.content) {
        this.#isClosing = true;
        this.#reject(first.content.error);
        return;
      }
      this.#slots.shift();
      this.#write(first.content.answer);
    }
    if (this.#isClosing) this.#resolve('answered');
  }

  #write(answer: Response): void {
    if (!this.#call.write(answer)) this.#hasRoom = false;
  }

  #regulate(): void {
    if (this.#hasRoom && this.#slots.length < MAX_UNDER_WAY && !this.#isClosing) this.#call.resume();
    else this.#call.pause();
  }
}
