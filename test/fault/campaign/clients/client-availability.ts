import type { ClientValidation, Fault, Place } from '../history.js';

/** In which a client learns all that it is asked for, once it has begun to ask. */
const LEARN_MS = 3_000;

/** Counts are of answers: from memory, by asking a replica, and none. */
interface Counts {
  fromMemory: number;
  asked: number;
  failed: number;
}

/** Felt tells what met a place. */
interface Felt {
  isCalm(place: Place, startedAt: number, endedAt: number): boolean;
  felt(validation: ClientValidation): readonly Fault[];
}

/**
 * ClientAvailability counts the answers of clients. They must be answered whatever becomes of the session that listens, and
 * while replicas are updated one by one, since they have other replicas to ask.
 */
export class ClientAvailability {
  /** Where nothing was wrong with the client or any replica, and all had recovered. */
  readonly calm = noCounts();
  /** Of those, about tokens that nobody changes: nothing makes a client ask for them. */
  readonly calmBystanders = noCounts();
  /** Those that had to be answered. */
  readonly owed = noCounts();
  /** During and just after what may keep a client from answering. */
  readonly excused = noCounts();
  readonly #felt: Felt;
  /** When each client began to ask. */
  readonly #beginnings = new Map<number, number>();
  readonly #bystanders: ReadonlySet<number>;

  constructor(felt: Felt, bystanders: ReadonlySet<number>) {
    this.#felt = felt;
    this.#bystanders = bystanders;
  }

  answered(validation: ClientValidation): void {
    this.#count(validation, validation.isFromMemory ? 'fromMemory' : 'asked');
  }

  /** failed tells whether the failure is excused. */
  failed(validation: ClientValidation): boolean {
    this.#count(validation, 'failed');
    return this.#isExcused(validation);
  }

  #count(validation: ClientValidation, as: keyof Counts): void {
    const { credential, startedAt, endedAt, count } = validation;
    const counts = [this.#isExcused(validation) ? this.excused : this.owed];
    const isNew = startedAt < this.#beginningOf(validation) + LEARN_MS;
    if (!isNew && this.#felt.isCalm(validation, startedAt, endedAt)) {
      counts.push(this.calm);
      if (this.#bystanders.has(credential)) counts.push(this.calmBystanders);
    }
    for (const each of counts) each[as] += count;
  }

  #beginningOf({ client, startedAt }: ClientValidation): number {
    const known = this.#beginnings.get(client);
    if (known === undefined) this.#beginnings.set(client, startedAt);
    return known ?? startedAt;
  }

  #isExcused(validation: ClientValidation): boolean {
    return this.#felt.felt(validation).some(mayStopAnswers);
  }
}

/** shareFromMemory is 1 where everything was answered from memory; NaN of no answers. */
export function shareFromMemory({ fromMemory, asked, failed }: Counts): number {
  return fromMemory / (fromMemory + asked + failed);
}

function noCounts(): Counts {
  return { fromMemory: 0, asked: 0, failed: 0 };
}

function mayStopAnswers({ kind }: Fault): boolean {
  return !kind.startsWith('listener') && kind !== 'replicas updated';
}
