import { machineNow } from '../../support/machine-clock.js';

/** Verdict is the reason of an answer, without its prefix. */
export type Verdict = 'OK' | 'UNKNOWN' | 'EXPIRED' | 'OWNER_INACTIVE' | 'INACTIVE' | 'ACCOUNT_INACTIVE';

/** Answer is what a validation got: a verdict, or the code of its failure. */
export type Answer =
  | { readonly verdict: string; readonly valid: boolean; readonly stale: boolean }
  | { readonly failure: string };

/** Asked is a question and its answer. Times are milliseconds by the one clock of the campaign. */
interface Asked {
  /** Number of the plaintext that was asked for. */
  readonly credential: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly answer: Answer;
}

/** Validation is one call to a replica. */
export interface Validation extends Asked {
  readonly replica: number;
}

/** ClientValidation is an answer of a client that has a memory of its own. What that does not hold it asks any replica. */
export interface ClientValidation extends Asked {
  readonly client: number;
  readonly isFromMemory: boolean;
  /** How many answers it stands for: those like it between this one and the next. */
  readonly count: number;
}

/** Result is what is known of a change once its call has ended. */
export type Result =
  /** A new token, which no replica can have known before. */
  | { readonly kind: 'created' }
  | { readonly kind: 'complete'; readonly waitedMs: number }
  | {
      readonly kind: 'incomplete';
      readonly effectiveBy: number;
      readonly pending: number;
      readonly waitedMs: number;
    }
  /** By SQL: it is committed, and nobody tells when it is seen. */
  | { readonly kind: 'committed' }
  /** It may have been made, or may still be. */
  | { readonly kind: 'unknown'; readonly error: string };

/** Change is one call or statement that changes verdicts. Those of one credential never overlap. */
export interface Change {
  readonly what: string;
  readonly through: number | 'SQL';
  readonly startedAt: number;
  readonly endedAt: number;
  readonly result: Result;
  /** Which verdicts are possible from then on, by credential. */
  readonly verdicts: ReadonlyMap<number, ReadonlySet<Verdict>>;
}

/** Place is where an answer comes from. A client may ask any replica, so that it feels what meets those. */
export type Place = { readonly replica: number } | { readonly client: number };

export const FAULT_KINDS = [
  'replica paused',
  'replica killed',
  'listener terminated',
  'listener frozen',
  'listener blackholed',
  'pool blackholed',
  'pool answers held back',
  'pool and listener blackholed',
  'PostgreSQL restarted',
  'PostgreSQL killed',
] as const;

/** After these the database is what it was before, and the history of its changes another. */
export const TURN_KINDS = ['database restored', 'PostgreSQL promoted', 'PostgreSQL put back'] as const;

/** These meet clients that have a memory of their own, the last one by way of the replicas. */
export const CLIENT_KINDS = [
  'client paused',
  'client killed',
  'client delayed',
  'client cut off',
  'client half-closed',
  'client blackholed',
  'client clock set',
  'replicas updated',
] as const;

/** Those of the soak alone. */
export const SOAK_KINDS = [
  'open connections blackholed',
  'backends paused',
  'settings changed',
  'column changed',
  'publish lock held',
  'rows locked',
  'clients gone',
  'unfinished bodies',
  'overload',
  'connections cut',
  'answers to COMMIT lost',
  'synchronous standby lost',
  'settings of the role changed',
  'audit chains locked',
] as const;

/** 'campaign stalled': the process that asks and takes the times stood still itself. */
type FaultKind =
  | (typeof FAULT_KINDS)[number]
  | (typeof TURN_KINDS)[number]
  | (typeof CLIENT_KINDS)[number]
  | (typeof SOAK_KINDS)[number]
  | 'campaign stalled';

/** Fault lasts until its cause is removed; what it broke may take longer to recover. */
export interface Fault {
  readonly kind: FaultKind;
  /** undefined: all are affected. */
  readonly replica: number | undefined;
  /** Set where a client alone is affected. */
  readonly client?: number;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** History is everything that happened in a campaign. */
export interface History {
  readonly validations: readonly Validation[];
  readonly clientValidations: readonly ClientValidation[];
  readonly changes: readonly Change[];
  readonly faults: readonly Fault[];
  /** Credentials that nobody ever changes, and that are asked for all the time. */
  readonly bystanders: ReadonlySet<number>;
  /** When replicas began to follow changes, with an empty memory, whatever the reason. */
  readonly joins: readonly Join[];
}

export interface Join {
  readonly replica: number;
  readonly at: number;
}

const STALL_CHECK_MS = 20;
const STALL_MS = 500;

/** Recorder writes the history; all times are by its clock. */
export class Recorder implements History {
  readonly validations: Validation[] = [];
  readonly clientValidations: ClientValidation[] = [];
  readonly changes: Change[] = [];
  readonly faults: Fault[] = [];
  readonly bystanders = new Set<number>();
  readonly joins: Join[] = [];
  readonly #answers = new Map<string, Answer>();
  readonly #watch: NodeJS.Timeout;
  /** When this process began, by the machine's clock. */
  readonly #zero = machineNow() - performance.now();
  #awakeAt = this.now();

  /** A stall of `stallMs` is written down. */
  constructor(stallMs = STALL_MS) {
    this.#watch = setInterval(() => {
      const now = this.now();
      if (now - this.#awakeAt > STALL_CHECK_MS + stallMs) {
        const kind = 'campaign stalled';
        this.faults.push({ kind, replica: undefined, startedAt: this.#awakeAt, endedAt: now });
      }
      this.#awakeAt = now;
    }, STALL_CHECK_MS);
  }

  now(): number {
    return this.ofMachine(machineNow());
  }

  /** ofMachine is the time by this clock of a time by the machine's, which other processes have too. */
  ofMachine(machineMs: number): number {
    return machineMs - this.#zero;
  }

  /** timeOf is the time by this clock of a wall time, in milliseconds since 1970. */
  timeOf(wallMs: number): number {
    return this.now() + wallMs - Date.now();
  }

  validated(validation: Validation): void {
    this.validations.push({ ...validation, answer: this.#shared(validation.answer) });
  }

  validatedByClient(validation: ClientValidation): void {
    this.clientValidations.push({ ...validation, answer: this.#shared(validation.answer) });
  }

  close(): void {
    clearInterval(this.#watch);
  }

  /** #shared keeps one object for all answers that are alike: there are millions. */
  #shared(answer: Answer): Answer {
    const key = JSON.stringify(answer);
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    this.#answers.set(key, answer);
    return answer;
  }
}
