import type { Clock } from '../../lib/clock.js';

/** FollowStatus is what a follower tells of itself to whoever watches it. */
export class FollowStatus {
  readonly #clock: Clock;
  readonly #rows = new Map<string, number>();
  readonly #views: number[] = [];
  #startedAt: number;
  #isFollowing = false;
  failures = 0;
  cycles = 0;
  heldDeletions = 0;
  openConflicts = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAt = clock.now();
  }

  /** isFollowing is false while another one follows, or while a database is away. */
  get isFollowing(): boolean {
    return this.#isFollowing;
  }

  /** rows counts what was written since the start, by kind and outcome. */
  get rows(): readonly { readonly kind: string; readonly outcome: string; readonly count: number }[] {
    return [...this.#rows].map(([name, count]) => {
      const [kind = '', outcome = ''] = name.split(' ');
      return { kind, outcome, count };
    });
  }

  /** lagMs is for how long, at most, what was committed on the one side has not been true on the other. */
  get lagMs(): number {
    return Math.max(0, this.#clock.now() - (this.#views[0] ?? this.#startedAt));
  }

  /** done is for a cycle that saw what was committed until `viewedAt`; it takes `round` of them to see all rows. */
  done(viewedAt: number, round: number): void {
    this.#isFollowing = true;
    this.cycles += 1;
    this.#views.push(viewedAt);
    this.#views.splice(0, Math.max(0, this.#views.length - round));
  }

  /** caughtUp is for when all rows were seen at once. */
  caughtUp(viewedAt: number): void {
    this.#views.length = 0;
    this.#startedAt = viewedAt;
    this.done(viewedAt, 1);
  }

  failed(): void {
    this.#isFollowing = false;
    this.failures += 1;
  }

  waiting(): void {
    this.#isFollowing = false;
  }

  wrote(kind: string, outcome: string, count: number): void {
    const name = `${kind} ${outcome}`;
    if (count > 0) this.#rows.set(name, (this.#rows.get(name) ?? 0) + count);
  }
}
