import type { ClientCounts, ClientsTold, Head } from '../coherence/ports.js';

/** Step is a change that some clients held when it was applied, and had a lease for. */
export interface Step {
  readonly before: Head | undefined;
  readonly revision: bigint;
  waiting: number;
  acknowledged: number;
  expired: number;
}

/** Revisions of which is kept which clients they concerned, until their writers are told. */
const MAX_TOLD = 1_000;

/** Settlement is how far clients have forgotten what was applied. */
export class Settlement {
  readonly #onSettled: () => void;
  #applied: Head | undefined;
  /** Those that are waited for, in their order. */
  #steps: Step[] = [];
  readonly #told = new Map<bigint, ClientCounts>();

  /** `onSettled` is called whenever more is settled than was when it was applied. */
  constructor(onSettled: () => void) {
    this.#onSettled = onSettled;
  }

  get applied(): Head | undefined {
    return this.#applied;
  }

  /** settled is up to where nothing is waited for. */
  get settled(): Head | undefined {
    const [first] = this.#steps;
    return first === undefined ? this.#applied : first.before;
  }

  isSettled(head: Head): boolean {
    return covers(this.settled, head);
  }

  isApplied(head: Head): boolean {
    return covers(this.#applied, head);
  }

  /** advance applies a change; `tell` tells it, and counts those who are waited for in the step. */
  advance(applied: Head, before: Head | undefined, tell: (step: Step) => void): void {
    if (applied.epoch !== this.#applied?.epoch) this.#told.clear();
    this.#applied = applied;
    const step: Step = { before, revision: applied.revision, waiting: 0, acknowledged: 0, expired: 0 };
    tell(step);
    if (step.waiting > 0) this.#steps.push(step);
  }

  /** release counts one client of a step less. */
  release(step: Step, outcome: 'acknowledged' | 'expired'): void {
    step.waiting -= 1;
    step[outcome] += 1;
    if (step.waiting > 0) return;
    this.#steps = this.#steps.filter((each) => each !== step);
    const { revision, acknowledged, expired } = step;
    this.#told.set(revision, { acknowledged, expired });
    const [oldest] = this.#told.keys();
    if (this.#told.size > MAX_TOLD && oldest !== undefined) this.#told.delete(oldest);
    this.#onSettled();
  }

  told(revisions: readonly bigint[]): ClientsTold[] {
    return revisions.flatMap((revision) => {
      const counts = this.#told.get(revision);
      return counts === undefined ? [] : [{ revision, ...counts }];
    });
  }
}

function covers(head: Head | undefined, other: Head): boolean {
  return head?.epoch === other.epoch && head.revision >= other.revision;
}
