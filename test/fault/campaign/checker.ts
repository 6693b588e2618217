import { Availability } from './availability.js';
import type { Change, ClientValidation, History, Validation, Verdict } from './history.js';

/** Rules are what the settings of the replicas promise, in milliseconds. */
export interface Rules {
  /** For how long a lease lasts by the database's clock. */
  readonly leaseMs: number;
  /** For how long after its lease a replica may give stale answers; 0 in strict mode. */
  readonly maxStaleMs: number;
}

export type ContradictionKind =
  /** An answer, not marked as stale, by what was before a change that was complete or effective. */
  | 'outdated'
  /** The same, marked as stale. */
  | 'outdated though marked as stale'
  | 'stale in strict mode'
  | 'stale and unknown'
  /** A client answered as stale what its own memory said, which must not hold that. */
  | 'stale from memory'
  | 'valid is not the verdict'
  /** A change by SQL was not seen in time, though nothing was wrong. */
  | 'SQL unseen'
  /** A change promised to be effective later than any replica may answer by what was before. */
  | 'effective too late'
  /** No answer, though nothing was wrong that excuses it. */
  | 'unanswered'
  /** A failure of another kind than outages may have. */
  | 'wrong failure';

interface Contradiction {
  readonly kind: ContradictionKind;
  readonly text: string;
}

/** Checked is what the checker found out. */
export interface Checked {
  readonly contradictions: readonly Contradiction[];
  readonly availability: Availability;
  /** How long after the commit of a change by SQL an answer still did not show it, where nothing was wrong. */
  readonly sqlLagsMs: readonly number[];
}

/** How much longer a replica registers its stale time for than it uses it, see the lease. */
const REGISTERED_STALE = 31 / 30;
/** In which a change by SQL is seen where nothing is wrong, but the machine may be busy. */
const SQL_BOUND_MS = 1_500;
/** What a call may take between reading the leases and returning, and a clock's rounding. */
const SLACK_MS = 1_500;
/** In which a replica gets through what it took in. */
const AFTER_OVERLOAD_MS = 1_000;
const OUTAGE_FAILURES: ReadonlySet<string> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED']);

/** check holds every answer of a history against what the changes promised. */
export function check(history: History, rules: Rules): Checked {
  return new Checker(history, rules).check();
}

/** Step is a change as one credential sees it. */
interface Step {
  readonly change: Change;
  readonly verdicts: ReadonlySet<Verdict>;
}

type Answered = Validation | ClientValidation;

class Checker {
  readonly #history: History;
  readonly #rules: Rules;
  readonly #availability: Availability;
  readonly #timelines = new Map<number, Step[]>();
  readonly #contradictions: Contradiction[] = [];
  readonly #sqlLagsMs: number[] = [];

  constructor(history: History, rules: Rules) {
    this.#history = history;
    this.#rules = rules;
    this.#availability = new Availability(history, rules.maxStaleMs);
    for (const change of [...history.changes].sort((a, b) => a.startedAt - b.startedAt)) {
      for (const [credential, verdicts] of change.verdicts) {
        const timeline = this.#timelines.get(credential) ?? [];
        timeline.push({ change, verdicts });
        this.#timelines.set(credential, timeline);
      }
    }
  }

  check(): Checked {
    for (const change of this.#history.changes) this.#checkPromise(change);
    const { validations, clientValidations } = this.#history;
    for (const answered of [validations, clientValidations])
      for (const validation of answered) this.#checkValidation(validation);
    return {
      contradictions: this.#contradictions,
      availability: this.#availability,
      sqlLagsMs: this.#sqlLagsMs,
    };
  }

  #checkPromise({ what, through, endedAt, result }: Change): void {
    if (result.kind !== 'incomplete') return;
    const latest = endedAt + this.#rules.leaseMs + this.#staleMs() + SLACK_MS;
    if (result.effectiveBy <= latest) return;
    const inMs = (result.effectiveBy - endedAt).toFixed(0);
    this.#found('effective too late', `${what} through ${through}: effective only in ${inMs} ms`);
  }

  #checkValidation(validation: Answered): void {
    const { answer } = validation;
    if ('failure' in answer) {
      if (!this.#mayFailWith(answer.failure, validation)) this.#accuse('wrong failure', validation);
      else if (!this.#availability.failed(validation)) this.#accuse('unanswered', validation);
      return;
    }
    this.#availability.answered(validation);
    const { verdict, stale, valid } = answer;
    if (valid !== (verdict === 'OK')) this.#accuse('valid is not the verdict', validation);
    if (stale && this.#rules.maxStaleMs === 0) this.#accuse('stale in strict mode', validation);
    if (stale && 'isFromMemory' in validation && validation.isFromMemory)
      this.#accuse('stale from memory', validation);
    if (stale && verdict === 'UNKNOWN') this.#accuse('stale and unknown', validation);
    if (!this.#allowed(validation, stale).has(verdict)) {
      this.#accuse(stale ? 'outdated though marked as stale' : 'outdated', validation);
    } else if (!stale) this.#checkSql(validation, verdict);
  }

  #mayFailWith(code: string, validation: Answered): boolean {
    if (OUTAGE_FAILURES.has(code)) return true;
    const { startedAt, endedAt } = validation;
    const faults = this.#availability.touching(validation, startedAt - AFTER_OVERLOAD_MS, endedAt);
    return code === 'RESOURCE_EXHAUSTED' && faults.some(({ kind }) => kind === 'overload');
  }

  /**
   * #allowed are the verdicts that an answer may give: what was so after the last change that is settled for it,
   * and after each that began later.
   */
  #allowed({ credential, startedAt, endedAt }: Answered, stale: boolean): ReadonlySet<string> {
    const timeline = this.#timelines.get(credential) ?? [];
    const allowed = new Set<string>();
    for (let at = lastBefore(timeline, endedAt); at >= 0; at -= 1) {
      const step = timeline[at];
      if (step === undefined) break;
      for (const verdict of step.verdicts) allowed.add(verdict);
      if (this.#isSettled(step.change, startedAt, stale)) break;
    }
    return allowed;
  }

  /** #isSettled tells whether no answer to a question of then may be by what was before the change. */
  #isSettled({ endedAt, result }: Change, askedAt: number, stale: boolean): boolean {
    if (result.kind === 'unknown' || askedAt <= endedAt) return false;
    if (result.kind === 'created' || result.kind === 'complete') return true;
    // Whatever is said of it: no lease lasts longer that was taken before its commit.
    if (askedAt > endedAt + this.#rules.leaseMs + (stale ? this.#staleMs() : 0)) return true;
    if (result.kind === 'committed') return false;
    return askedAt > result.effectiveBy || (!stale && result.pending > 0);
  }

  #checkSql(validation: Answered, verdict: string): void {
    const { credential, startedAt, endedAt } = validation;
    const timeline = this.#timelines.get(credential) ?? [];
    const step = timeline[lastBefore(timeline, endedAt)];
    if (step?.change.result.kind !== 'committed' || step.change.endedAt > startedAt) return;
    const isSeen = step.verdicts.has(verdict as Verdict);
    if (isSeen || !this.#availability.isCalm(validation, step.change.startedAt, endedAt)) return;
    const lag = startedAt - step.change.endedAt;
    this.#sqlLagsMs.push(lag);
    if (lag > SQL_BOUND_MS) this.#accuse('SQL unseen', validation);
  }

  #staleMs(): number {
    return this.#rules.maxStaleMs * REGISTERED_STALE;
  }

  #accuse(kind: ContradictionKind, validation: Answered): void {
    const { credential, startedAt, endedAt, answer } = validation;
    const got = 'failure' in answer ? answer.failure : `${answer.verdict}${answer.stale ? ', stale' : ''}`;
    const timeline = this.#timelines.get(credential) ?? [];
    const last = lastBefore(timeline, endedAt);
    const before = timeline.slice(Math.max(0, last - 2), last + 1).map((step) => describe(step, startedAt));
    const faults = this.#availability
      .touching(validation, startedAt, endedAt)
      .map((fault) => `${fault.kind} ${span(fault, startedAt)}`);
    this.#found(
      kind,
      [
        `credential ${credential} ${placeOf(validation)} at ${startedAt.toFixed(1)} ms: ${got} after ${(endedAt - startedAt).toFixed(1)} ms`,
        ...before.map((text) => `    ${text}`),
        ...faults.map((text) => `    fault: ${text}`),
      ].join('\n'),
    );
  }

  #found(kind: ContradictionKind, text: string): void {
    this.#contradictions.push({ kind, text });
  }
}

function placeOf(validation: Answered): string {
  if ('replica' in validation) return `through replica ${validation.replica}`;
  const { client, isFromMemory, count } = validation;
  return `in client ${client} ${isFromMemory ? `from memory, ${count} times` : 'by a call'}`;
}

/** lastBefore is the place of the last step that began before a time; -1 if none did. */
function lastBefore(timeline: readonly Step[], time: number): number {
  let low = 0;
  let high = timeline.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((timeline[middle]?.change.startedAt ?? Infinity) < time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function describe({ change, verdicts }: Step, zero: number): string {
  const { what, through, result } = change;
  const promise =
    result.kind === 'incomplete'
      ? `, pending ${result.pending}, effective at ${(result.effectiveBy - zero).toFixed(1)}`
      : '';
  return `${what} through ${through} ${span(change, zero)}: ${result.kind}${promise}, then ${[...verdicts].join(' or ')}`;
}

function span({ startedAt, endedAt }: { startedAt: number; endedAt: number }, zero: number): string {
  return `from ${(startedAt - zero).toFixed(1)} to ${(endedAt - zero).toFixed(1)} ms`;
}
