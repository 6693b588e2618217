import type { Scheduler } from './scheduler.js';

/** Direction is all that goes one way between one machine and the database. */
export class Direction {
  readonly #stuck = new Set<Channel>();
  #isHeld = false;

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** hold keeps back all that is sent, as a dead network does: TCP sends it again once the network is back. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    for (const channel of [...this.#stuck]) channel.flush();
  }

  mark(channel: Channel, isStuck: boolean): void {
    if (isStuck) this.#stuck.add(channel);
    else this.#stuck.delete(channel);
  }
}

/** Channel is one direction of one TCP connection: what is sent arrives in order, after some time. */
export class Channel {
  readonly #scheduler: Scheduler;
  readonly #direction: Direction;
  readonly #delay: () => number;
  #kept: (() => void)[] = [];
  #isHeld = false;
  #arrival = 0;

  constructor(scheduler: Scheduler, direction: Direction, delay: () => number) {
    this.#scheduler = scheduler;
    this.#direction = direction;
    this.#delay = delay;
  }

  send(arrive: () => void): void {
    if (this.#isHeld || this.#direction.isHeld) {
      this.#kept.push(arrive);
      this.#direction.mark(this, true);
    } else {
      this.#transmit(arrive);
    }
  }

  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.flush();
  }

  flush(): void {
    if (this.#isHeld || this.#direction.isHeld) return;
    const kept = this.#kept;
    this.#kept = [];
    this.#direction.mark(this, false);
    for (const arrive of kept) this.#transmit(arrive);
  }

  #transmit(arrive: () => void): void {
    const { now } = this.#scheduler;
    this.#arrival = Math.max(this.#arrival, now + this.#delay());
    this.#scheduler.after(this.#arrival - now, arrive);
  }
}

/** Network joins one machine with the database. */
export class Network {
  readonly up = new Direction();
  readonly down = new Direction();
  readonly #scheduler: Scheduler;
  readonly #delay: () => number;

  constructor(scheduler: Scheduler, delay: () => number) {
    this.#scheduler = scheduler;
    this.#delay = delay;
  }

  /** connect makes the two channels of a connection. */
  connect(): { readonly up: Channel; readonly down: Channel } {
    return {
      up: new Channel(this.#scheduler, this.up, this.#delay),
      down: new Channel(this.#scheduler, this.down, this.#delay),
    };
  }
}
