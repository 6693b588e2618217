import { Counter, Gauge, Registry } from 'prom-client';

/** FollowState is what a follower of a Smarter platform tells of itself; it is read whenever somebody looks. */
export interface FollowState {
  readonly isFollowing: boolean;
  readonly lagMs: number;
  readonly cycles: number;
  readonly failures: number;
  readonly heldDeletions: number;
  readonly openConflicts: number;
  readonly rows: readonly { readonly kind: string; readonly outcome: string; readonly count: number }[];
}

/** FollowMetrics are those of one follower. */
export class FollowMetrics {
  readonly #registry = new Registry();

  constructor(direction: 'import' | 'export', state: FollowState) {
    this.#registry.setDefaultLabels({ direction });
    this.#gauge('keyward_follow_active', 'Whether this follower is at work: 1, or 0.', () =>
      state.isFollowing ? 1 : 0,
    );
    this.#gauge(
      'keyward_follow_lag_seconds',
      'Seconds for which, at most, a change on the one side has not been true on the other.',
      () => state.lagMs / 1000,
    );
    this.#gauge(
      'keyward_follow_held_deletions',
      'Rows that are gone from the source and were not deleted, since they are too many.',
      () => state.heldDeletions,
    );
    this.#gauge(
      'keyward_follow_open_conflicts',
      'Conflicts that nobody has settled.',
      () => state.openConflicts,
    );
    this.#counter('keyward_follow_cycles_total', 'Cycles that were completed.', () => [[{}, state.cycles]]);
    this.#counter(
      'keyward_follow_failures_total',
      'Times that a cycle failed, or no database was there.',
      () => [[{}, state.failures]],
    );
    this.#counter(
      'keyward_follow_rows_total',
      'Rows that were written, by kind and by what was done.',
      () => state.rows.map(({ kind, outcome, count }) => [{ kind, outcome }, count]),
      ['kind', 'outcome'],
    );
  }

  /** text is in the text format of Prometheus. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  #counter(
    name: string,
    help: string,
    read: () => readonly (readonly [Record<string, string>, number])[],
    labelNames: string[] = [],
  ): void {
    new Counter({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [labels, count] of read()) this.inc(labels, count);
      },
    });
  }
}
