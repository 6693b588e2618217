import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const SAMPLE_MS = 200;
const NANOSECONDS = 1e6;

/** Sample is how long each replica has waited by then, in milliseconds. */
interface Sample {
  readonly at: number;
  readonly waited: readonly number[];
}

/**
 * CoreWaits tell for how long replicas were ready to run, and did not, as all cores were busy with others: what takes longer
 * for that is late through no fault of theirs. Where the system does not tell, that is never.
 */
export class CoreWaits {
  readonly #pids: () => readonly (number | undefined)[];
  readonly #now: () => number;
  readonly #waitedBy: (pid: number) => Promise<number>;
  readonly #samples: Sample[] = [];
  readonly #latest = new Map<number, number>();

  /** `pids` are the main threads of the replicas, those that run; `waitedBy` is for how long one has waited since its start. */
  constructor(
    pids: () => readonly (number | undefined)[],
    now: () => number,
    waitedBy: (pid: number) => Promise<number> = waitedSinceStart,
  ) {
    this.#pids = pids;
    this.#now = now;
    this.#waitedBy = waitedBy;
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await this.sample();
      await delay(SAMPLE_MS);
    }
    await this.sample();
  }

  /** sample asks the system. */
  async sample(): Promise<void> {
    const before = this.#samples.at(-1)?.waited ?? [];
    const waited = await Promise.all(
      this.#pids().map(async (pid, index) => {
        const until = before[index] ?? 0;
        if (pid === undefined) return until;
        const now = await this.#waitedBy(pid).catch(() => 0);
        const more = now - (this.#latest.get(pid) ?? now);
        this.#latest.set(pid, now);
        return until + Math.max(0, more);
      }),
    );
    this.#samples.push({ at: this.#now(), waited });
  }

  /** between is what the replica has waited that waited longest, from one moment to another. */
  between(from: number, to: number): number {
    const first = this.#samples.findLast(({ at }) => at <= from) ?? this.#samples[0];
    const last = this.#samples.find(({ at }) => at >= to) ?? this.#samples.at(-1);
    if (first === undefined || last === undefined) return 0;
    return Math.max(0, ...last.waited.map((waited, index) => waited - (first.waited[index] ?? 0)));
  }
}

/** waitedSinceStart is of the main thread of a process, where Linux counts it. */
async function waitedSinceStart(pid: number): Promise<number> {
  const [, waited] = (await readFile(`/proc/${pid}/schedstat`, 'utf8')).split(' ');
  return Number(waited) / NANOSECONDS;
}
