import { setTimeout as delay } from 'node:timers/promises';
import { KeywardCallError } from '../../../src/client/index.js';
import { CallFailed } from '../campaign/caller.js';
import type { Fault, Recorder } from '../campaign/history.js';
import type { CoreWaits } from './core-waits.js';

/** A call that has not ended then is given up. */
const GIVEN_UP_MS = 30_000;
const OUTAGES = ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED', 'CANCELLED', 'ABORTED'];
/** Of a call that was given up. */
const NO_END = 'no end';

export interface Kind {
  readonly name: string;
  /** In which it must end. */
  readonly boundMs: number;
  /** Codes that it may end with, besides OK and those of outages. */
  readonly expects?: readonly string[];
}

/** Ended is a call that has ended. */
export interface Ended {
  readonly kind: Kind;
  readonly replica: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly code: string;
}

/** Calls counts calls, and keeps those that ended otherwise than they may. */
export class Calls {
  /** By kind, and then by code. */
  readonly counts = new Map<string, Map<string, number>>();
  /** Calls that took longer than they may, where nothing stood still meanwhile. */
  readonly late: Ended[] = [];
  /** What calls ended with that none of their kind may end with. */
  readonly wrong: string[] = [];
  readonly #recorder: Recorder;
  readonly #coreWaits: Pick<CoreWaits, 'between'>;
  readonly #longest = new Map<string, Ended>();

  constructor(recorder: Recorder, coreWaits: Pick<CoreWaits, 'between'>) {
    this.#recorder = recorder;
    this.#coreWaits = coreWaits;
  }

  /** make makes a call, and gives what it gave or the code that it failed with. */
  async make<T>(
    kind: Kind,
    replica: number,
    call: () => Promise<T>,
  ): Promise<{ readonly value: T } | { readonly code: string }> {
    const startedAt = this.#recorder.now();
    const limit = new AbortController();
    const givenUp = delay(GIVEN_UP_MS, { code: NO_END }, { signal: limit.signal });
    const result = await Promise.race([call().then((value) => ({ value }), toCode), givenUp]);
    givenUp.catch(() => undefined);
    limit.abort();
    const code = 'code' in result ? result.code : 'OK';
    this.add({ kind, replica, startedAt, endedAt: this.#recorder.now(), code: code.split(':')[0] ?? code });
    const isExpected = ['OK', ...OUTAGES, ...(kind.expects ?? [])].some((each) => code.startsWith(each));
    if (!isExpected) this.wrong.push(`${kind.name} through replica ${replica}: ${code}`);
    return result;
  }

  /** add counts a call that was made elsewhere too. */
  add(ended: Ended): void {
    const { kind, code } = ended;
    const codes = this.counts.get(kind.name) ?? new Map<string, number>();
    this.counts.set(kind.name, codes.set(code, (codes.get(code) ?? 0) + 1));
    if (took(ended) > kind.boundMs) this.late.push(ended);
    const longest = this.#longest.get(kind.name);
    if (longest === undefined || took(longest) < took(ended)) this.#longest.set(kind.name, ended);
  }

  /** longest is the longest call of a kind. */
  longest(kind: string): Ended | undefined {
    return this.#longest.get(kind);
  }

  /** unexcused are the late calls, after the time in which their replica, or who asked it, or the machine stood still. */
  unexcused(): Ended[] {
    return this.late.filter((ended) => {
      const waited = this.#coreWaits.between(ended.startedAt, ended.endedAt);
      return took(ended) - stoodStill(ended, this.#recorder.faults) - waited > ended.kind.boundMs;
    });
  }
}

export function took({ startedAt, endedAt }: Ended): number {
  return endedAt - startedAt;
}

function stoodStill({ replica, startedAt, endedAt }: Ended, faults: readonly Fault[]): number {
  const still = faults.filter(
    (fault) =>
      fault.kind === 'campaign stalled' || (fault.kind === 'replica paused' && fault.replica === replica),
  );
  const overlaps = still.map(
    (fault) => Math.min(endedAt, fault.endedAt) - Math.max(startedAt, fault.startedAt),
  );
  return overlaps.reduce((sum, overlap) => sum + Math.max(0, overlap), 0);
}

function toCode(error: unknown): { readonly code: string } {
  if (error instanceof CallFailed) return { code: error.message };
  if (!(error instanceof KeywardCallError)) throw error;
  return { code: `${error.codeName}: ${error.message}` };
}
