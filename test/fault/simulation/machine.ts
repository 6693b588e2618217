import type { Timer, Timers } from '../../../src/lib/timers.js';
import type { Random } from '../../support/random.js';
import type { Scheduler } from './scheduler.js';

/** How far a clock's rate may be from the true one. */
export const RATE_ERROR = 0.01;
/** Timers are a little late, and never early. */
const LATENESS_MS = 0.001;

/**
 * Machine is a computer with clocks of its own. While it is frozen nothing runs on it: neither timers nor
 * messages are worked on. While it is suspended its monotonic clock stands still besides.
 */
export class Machine {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly rate: number;
  readonly #wallOffset: number;
  #timersDue: (() => void)[] = [];
  #messages: (() => void)[] = [];
  #isFrozen = false;
  #suspendedAt: number | undefined;
  #suspendedMs = 0;

  constructor(scheduler: Scheduler, random: Random) {
    this.scheduler = scheduler;
    this.random = random;
    this.rate = 1 + RATE_ERROR * random.pick([-1, 1, (random.below(2001) - 1000) / 1000]);
    this.#wallOffset = 1_000_000 + random.below(1_000_000);
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  monotonicMs(): number {
    const suspended = this.#suspendedAt === undefined ? 0 : this.scheduler.now - this.#suspendedAt;
    return (this.scheduler.now - this.#suspendedMs - suspended) * this.rate;
  }

  wallMs(): number {
    return this.#wallOffset + this.scheduler.now * this.rate;
  }

  /** trueTime is when this machine's wall clock shows a time. */
  trueTime(wallMs: number): number {
    return (wallMs - this.#wallOffset) / this.rate;
  }

  /** keep puts off what is due now until the machine goes on. */
  keep(kind: 'timer' | 'message', work: () => void): void {
    (kind === 'timer' ? this.#timersDue : this.#messages).push(work);
  }

  /** pause stops the process for some time. */
  pause(ms: number): void {
    if (this.#isFrozen) return;
    this.#isFrozen = true;
    this.scheduler.after(ms, () => {
      this.#thaw();
    });
  }

  /** suspend stops the whole machine for some time. */
  suspend(ms: number): void {
    if (this.#isFrozen) return;
    this.#suspendedAt = this.scheduler.now;
    this.pause(ms);
  }

  #thaw(): void {
    if (this.#suspendedAt !== undefined) this.#suspendedMs += this.scheduler.now - this.#suspendedAt;
    this.#suspendedAt = undefined;
    this.#isFrozen = false;
    const timers = this.#timersDue;
    const messages = this.#messages;
    this.#timersDue = [];
    this.#messages = [];
    const waiting = this.random.chance(0.5) ? [...timers, ...messages] : [...messages, ...timers];
    for (const work of waiting) this.scheduler.after(0, work);
  }
}

/** Process runs on a machine until it is killed; then nothing of it is ever run again. */
export class Process implements Timers {
  readonly machine: Machine;
  /** What is told of its end, and whether its machine lives on. */
  readonly onEnd = new Set<(doesMachineLive: boolean) => void>();
  #isDead = false;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  kill(doesMachineLive: boolean): void {
    this.#isDead = true;
    for (const tell of [...this.onEnd]) tell(doesMachineLive);
    this.onEnd.clear();
  }

  monotonicMs(): number {
    return this.machine.monotonicMs();
  }

  wallMs(): number {
    return this.machine.wallMs();
  }

  random(): number {
    return this.machine.random.below(1_000_000) / 1_000_000;
  }

  after(ms: number, run: () => void): Timer {
    const { machine } = this;
    const due = machine.monotonicMs() + ms;
    let isCancelled = false;
    const fire = (): void => {
      if (isCancelled || this.#isDead) return;
      const early = due - machine.monotonicMs();
      if (machine.isFrozen) machine.keep('timer', fire);
      else if (early > 0) machine.scheduler.after(early / machine.rate + LATENESS_MS, fire);
      else run();
    };
    const planned = machine.scheduler.after(ms / machine.rate + LATENESS_MS, fire);
    return {
      cancel: () => {
        isCancelled = true;
        planned.cancelled = true;
      },
    };
  }

  /** deliver hands something that came over the network to the process. */
  deliver(work: () => void): void {
    this.#when('message', work);
  }

  /** local is for what comes from the machine itself: once that goes on, it may come before all that came over the network. */
  local(work: () => void): void {
    this.#when('timer', work);
  }

  #when(kind: 'timer' | 'message', work: () => void): void {
    if (this.#isDead) return;
    if (this.machine.isFrozen) this.machine.keep(kind, () => this.#when(kind, work));
    else work();
  }
}
