import type { Timer, Timers } from '../../src/lib/timers.js';

interface Planned {
  readonly due: number;
  readonly run: () => void;
}

/** ManualTimers stand still until a test turns them. */
export class ManualTimers implements Timers {
  #monotonic = 1_000;
  #wall = Date.UTC(2026, 0, 31);
  #planned: Planned[] = [];

  monotonicMs(): number {
    return this.#monotonic;
  }

  wallMs(): number {
    return this.#wall;
  }

  random(): number {
    return 0.5;
  }

  after(ms: number, run: () => void): Timer {
    const planned = { due: this.#monotonic + ms, run };
    this.#planned.push(planned);
    return {
      cancel: () => {
        this.#planned = this.#planned.filter((each) => each !== planned);
      },
    };
  }

  /** advance lets time pass, and what is due happen, each with all that follows from it at once. */
  async advance(ms: number): Promise<void> {
    await settled();
    const end = this.#monotonic + ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      const { due, run } = next;
      this.#planned = this.#planned.filter((each) => each !== next);
      // What is overdue runs late: the clock never goes back.
      this.#pass(Math.max(0, due - this.#monotonic));
      run();
      await settled();
    }
    this.#pass(end - this.#monotonic);
  }

  /** suspend lets time pass as it does while a machine is suspended. */
  suspend(ms: number): void {
    this.#wall += ms;
  }

  /** stall lets time pass in which nothing is run, as for a process that is stopped. */
  stall(ms: number): void {
    this.#pass(ms);
  }

  #pass(ms: number): void {
    this.#monotonic += ms;
    this.#wall += ms;
  }

  #next(end: number): Planned | undefined {
    return this.#planned.filter(({ due }) => due <= end).sort((a, b) => a.due - b.due)[0];
  }
}

/** settled lets all promises go as far as they can. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
