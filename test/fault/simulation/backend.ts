import type { ClientsTold, Head, Notice } from '../../../src/coherence/ports.js';
import type { Scheduler } from './scheduler.js';

/** Told is what a backend tells its client without being asked. */
export interface Told {
  readonly notice: (notice: Notice) => void;
  readonly acknowledged: (replica: string, settled: Head, clients: readonly ClientsTold[]) => void;
  readonly lost: () => void;
}

interface Speed {
  readonly statementMs: () => number;
  readonly notifyMs: () => number;
}

/** Backend is the database's side of one session: it works on one command after the other, unless it is frozen. */
export class Backend {
  readonly replica: string;
  readonly #scheduler: Scheduler;
  readonly #speed: Speed;
  readonly #told: Told;
  readonly #commands: ((done: () => void) => void)[] = [];
  #untold: (() => void)[] = [];
  #stalled: (() => void)[] = [];
  #heardAt = 0;
  #isListening = false;
  #isBusy = false;
  #isFrozen = false;
  #isEnded = false;

  constructor(scheduler: Scheduler, replica: string, speed: Speed, told: Told) {
    this.#scheduler = scheduler;
    this.replica = replica;
    this.#speed = speed;
    this.#told = told;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  listen(): void {
    this.#isListening = true;
  }

  receive(command: (done: () => void) => void): void {
    this.#commands.push(command);
    this.#work();
  }

  /** later goes on after some time, if the backend lives then, and not before it is thawed. */
  later(ms: number, work: () => void): void {
    this.#scheduler.after(ms, () => {
      if (this.#isEnded) return;
      if (this.#isFrozen) this.#stalled.push(work);
      else work();
    });
  }

  notify(notice: Notice): void {
    this.#tell(() => {
      this.#told.notice(notice);
    });
  }

  notifyAcknowledged(replica: string, settled: Head, clients: readonly ClientsTold[]): void {
    this.#tell(() => {
      this.#told.acknowledged(replica, settled, clients);
    });
  }

  freeze(ms: number): void {
    if (this.#isFrozen) return;
    this.#isFrozen = true;
    this.#scheduler.after(ms, () => {
      this.#isFrozen = false;
      const stalled = this.#stalled;
      this.#stalled = [];
      for (const work of stalled) this.later(0, work);
      this.#work();
    });
  }

  /** end ends it without a word. */
  end(): void {
    this.#isEnded = true;
  }

  /** hangUp tells the client that it has ended. */
  hangUp(): void {
    this.#told.lost();
  }

  /** #tell waits, as PostgreSQL does, until no command is being worked on. */
  #tell(tell: () => void): void {
    if (!this.#isListening || this.#isEnded) return;
    const { now } = this.#scheduler;
    this.#heardAt = Math.max(this.#heardAt, now + this.#speed.notifyMs());
    this.later(this.#heardAt - now, () => {
      this.#untold.push(tell);
      this.#work();
    });
  }

  #work(): void {
    if (this.#isBusy || this.#isFrozen || this.#isEnded) return;
    const untold = this.#untold;
    this.#untold = [];
    for (const tell of untold) tell();
    const command = this.#commands.shift();
    if (command === undefined) return;
    this.#isBusy = true;
    this.later(this.#speed.statementMs(), () => {
      command(() => {
        this.#isBusy = false;
        this.#work();
      });
    });
  }
}
