import { ClientAvailability } from './clients/client-availability.js';
import type { ClientValidation, Fault, History, Join, Place, Validation } from './history.js';

/** In which a replica recovers from what a fault broke. */
const RECOVERY_MS = 3_000;
/** In which a replica asks for all that it is to remember, after a fault. */
const WARM_UP_MS = 4_500;

/**
 * Availability counts answers, and judges which failures the outage policy allows. A replica that runs and reaches
 * its database always answers, whatever becomes of the session that listens. In default mode it answers also without
 * the database, for its stale time, for what it has known all along.
 */
export class Availability {
  /** Validations during no fault that may keep a replica from answering. */
  readonly healthy = { answered: 0, failed: 0 };
  /** Validations of bystanders in outages of the database that memory must bridge. */
  readonly bridged = { answered: 0, failed: 0 };
  /** Validations during a fault, or just after it, that may keep a replica from answering. */
  readonly excused = { answered: 0, failed: 0 };
  /** Those of clients. */
  readonly clients: ClientAvailability;
  /** Answers marked as stale. */
  staleAnswers = 0;
  readonly #faults: readonly Fault[];
  readonly #bystanders: ReadonlySet<number>;
  readonly #joins: readonly Join[];
  readonly #maxStaleMs: number;

  constructor({ faults, bystanders, joins }: History, maxStaleMs: number) {
    this.#faults = faults;
    this.#bystanders = bystanders;
    this.#joins = joins;
    this.#maxStaleMs = maxStaleMs;
    this.clients = new ClientAvailability(this, bystanders);
  }

  answered(validation: Validation | ClientValidation): void {
    if ('stale' in validation.answer && validation.answer.stale) this.staleAnswers += 1;
    if ('client' in validation) this.clients.answered(validation);
    else this.#countOf(validation).answered += 1;
  }

  /** failed tells whether the failure is excused. */
  failed(validation: Validation | ClientValidation): boolean {
    if ('client' in validation) return this.clients.failed(validation);
    const count = this.#countOf(validation);
    count.failed += 1;
    return count === this.excused;
  }

  /** isCalm tells whether a place was without any fault over a span, and had recovered before. */
  isCalm(place: Place, startedAt: number, endedAt: number): boolean {
    return this.touching(place, startedAt - WARM_UP_MS, endedAt).length === 0;
  }

  /** touching are the faults that a place felt in a span of time; without a place, any did. */
  touching(place: Place | undefined, startedAt: number, endedAt: number): readonly Fault[] {
    return this.#faults.filter(
      (fault) => fault.startedAt < endedAt && fault.endedAt > startedAt && isFeltAt(fault, place),
    );
  }

  /** felt are the faults that a place felt while it answered, or had just felt. */
  felt(validation: Place & { readonly startedAt: number; readonly endedAt: number }): readonly Fault[] {
    return this.touching(validation, validation.startedAt - RECOVERY_MS, validation.endedAt);
  }

  #countOf(validation: Validation): { answered: number; failed: number } {
    const stops = this.felt(validation).filter(mayStopAnswers);
    if (stops.length === 0) return this.healthy;
    return stops.every((fault) => this.#isBridged(fault, validation)) ? this.bridged : this.excused;
  }

  /** #isBridged tells whether memory must answer all the same. */
  #isBridged(fault: Fault, validation: Validation): boolean {
    const { credential, replica, endedAt } = validation;
    if (!isOutage(fault) || !this.#bystanders.has(credential)) return false;
    if (endedAt > fault.startedAt + this.#maxStaleMs) return false;
    const from = fault.startedAt - WARM_UP_MS;
    const isEmpty = this.#joins.some(
      (join) => join.replica === replica && join.at > from && join.at < fault.startedAt,
    );
    // Nor after something else that emptied the memory, or began to use up the stale time.
    return !isEmpty && this.touching(validation, from, endedAt).every((other) => other === fault);
  }
}

function isFeltAt({ replica, client }: Fault, place: Place | undefined): boolean {
  if (place === undefined) return true;
  if (client !== undefined) return 'client' in place && place.client === client;
  return replica === undefined || 'client' in place || place.replica === replica;
}

function mayStopAnswers({ kind }: Fault): boolean {
  return !kind.startsWith('listener');
}

function isOutage({ kind }: Fault): boolean {
  return kind.startsWith('pool') || kind.startsWith('PostgreSQL');
}
