import { KeywardCallError, type SecretEvent, type TokenEvent } from '../../src/client/index.js';

/** Told is a message of a watch. */
interface Told<Event> {
  readonly revision: bigint;
  readonly resumeToken: string;
  readonly events: readonly Event[];
}

/** Watching is a watch that has begun. */
export class Watching<Event extends TokenEvent | SecretEvent> {
  readonly #messages: AsyncIterator<Told<Event>>;
  #last: Told<Event>;

  private constructor(messages: AsyncIterator<Told<Event>>, first: Told<Event>) {
    this.#messages = messages;
    this.#last = first;
  }

  /** begin returns once the watch is served. */
  static async begin<Event extends TokenEvent | SecretEvent>(
    watch: AsyncIterable<Told<Event>>,
  ): Promise<Watching<Event>> {
    const messages = watch[Symbol.asyncIterator]();
    const first = await messages.next();
    if (first.done === true) throw new Error('a watch without a first message');
    return new Watching(messages, first.value);
  }

  /** last is the latest message that came. */
  get last(): Told<Event> {
    return this.#last;
  }

  async next(): Promise<Told<Event>> {
    const next = await this.#messages.next();
    if (next.done === true) throw new Error('the watch has ended');
    this.#last = next.value;
    return next.value;
  }

  /** until gives all events up to the first that is as wanted, which is the last of its message. */
  async until(isLast: (event: Event) => boolean): Promise<Event[]> {
    const events: Event[] = [];
    for (;;) {
      events.push(...(await this.next()).events);
      if (events.some(isLast)) return events;
    }
  }

  /** end is the code and reason that the watch ends with. */
  async end(): Promise<string> {
    try {
      for (;;) await this.next();
    } catch (error) {
      if (!(error instanceof KeywardCallError)) throw error;
      return `${error.codeName} ${error.reason}`;
    }
  }

  /** close ends the watch from the client's side. */
  async close(): Promise<void> {
    await this.#messages.return?.();
  }
}
