import { KeywardError } from '../lib/errors.js';

/** What a call weighs that is worked on by itself; one that shares its work with others declares less. */
export const WHOLE_CALL = 100;

export interface CallerLimitsOptions {
  /** Most calls of one user under way. */
  readonly calls: number;
  /** Most streams of one user held open. */
  readonly streams: number;
}

/**
 * CallerLimits counts what is under way for each user in this process, and refuses more than one user may have. The
 * user counts, not the token or the certificate: staff make as many tokens for themselves as they like, on as many
 * connections, while only superusers make users. Nothing is kept of a user for whom nothing is under way.
 */
export class CallerLimits {
  readonly #calls: Tally;
  readonly #streams: Tally;
  readonly #most: CallerLimitsOptions;

  constructor(most: CallerLimitsOptions) {
    this.#most = most;
    this.#calls = new Tally(most.calls * WHOLE_CALL);
    this.#streams = new Tally(most.streams);
  }

  /** users is for how many users something is counted. */
  get users(): number {
    return this.#calls.size + this.#streams.size;
  }

  /** beginCall gives what must be run when the call has ended. TOO_MANY_CALLS if it may not begin. */
  beginCall(userId: bigint, weight = WHOLE_CALL): () => void {
    return this.#calls.add(userId, weight) ?? refuse('TOO_MANY_CALLS', 'calls', this.#most.calls);
  }

  /** beginStream is the same for a stream, which lasts. TOO_MANY_WATCHES if it may not begin. */
  beginStream(userId: bigint): () => void {
    return this.#streams.add(userId, 1) ?? refuse('TOO_MANY_WATCHES', 'streams', this.#most.streams);
  }
}

/** Tally adds up weights for each user, to a limit. */
class Tally {
  readonly #limit: number;
  readonly #sums = new Map<bigint, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#sums.size;
  }

  /** add gives what takes the weight off again; undefined, and nothing is added, if the sum would pass the limit. */
  add(userId: bigint, weight: number): (() => void) | undefined {
    const sum = (this.#sums.get(userId) ?? 0) + weight;
    if (sum > this.#limit) return undefined;
    this.#sums.set(userId, sum);
    return () => {
      const rest = (this.#sums.get(userId) ?? 0) - weight;
      if (rest > 0) this.#sums.set(userId, rest);
      else this.#sums.delete(userId);
    };
  }
}

function refuse(reason: 'TOO_MANY_CALLS' | 'TOO_MANY_WATCHES', what: string, limit: number): never {
  throw new KeywardError(reason, `Too many ${what} of this user are under way: ${limit} are the limit.`, {
    metadata: { limit: String(limit) },
  });
}
