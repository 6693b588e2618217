/** Scheduled is something that happens at a moment, unless it is cancelled before. */
export interface Scheduled {
  cancelled: boolean;
}

interface Entry extends Scheduled {
  readonly time: number;
  readonly order: number;
  readonly run: () => void;
}

/** Scheduler is the one true time of a simulation. What is due at one moment happens in the order of its planning. */
export class Scheduler {
  /** Milliseconds since the beginning. */
  now = 0;
  readonly #heap: Entry[] = [];
  #planned = 0;

  after(ms: number, run: () => void): Scheduled {
    const entry: Entry = { time: this.now + Math.max(0, ms), order: this.#planned, run, cancelled: false };
    this.#planned += 1;
    this.#push(entry);
    return entry;
  }

  /** run lets everything happen up to a moment. All promises go as far as they can between two events. */
  async run(until: number): Promise<void> {
    for (let next = this.#heap[0]; next !== undefined && next.time <= until; next = this.#heap[0]) {
      this.#pop();
      if (next.cancelled) continue;
      this.now = next.time;
      next.run();
      await settled();
    }
    this.now = until;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || isBefore(parent, entry)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      if (left === undefined) break;
      const right = heap[2 * at + 2];
      const isRight = right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (isBefore(last, child)) break;
      heap[at] = child;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}

/** settled is after all promises have gone as far as they can: ticks come when nothing is left of those. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
