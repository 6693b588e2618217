import type { Clock } from '../../src/lib/clock.js';

/** TestClock stands still until it is turned. It begins at the present, since the database has a clock too. */
export class TestClock implements Clock {
  #now = Date.now();

  now(): number {
    return this.#now;
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
  }

  set(milliseconds: number): void {
    this.#now = milliseconds;
  }
}
