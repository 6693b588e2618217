import type { HoldInvalidation } from '../gen/keyward/token/v1/hold_verdicts.js';

/** Of more invalidations than these while something is under way, all count as one of everything. */
const MAX_REMEMBERED = 100;

/** Which handles were told to be forgotten; undefined: anything may be meant. */
type Told = ReadonlySet<bigint> | undefined;

/**
 * Overtaking remembers which invalidations came while look-ups were under way, whose handles nobody knew yet: what they bring is
 * not kept if one of those may have meant it.
 */
export class Overtaking {
  readonly #told: Told[] = [];
  #dropped = 0;

  /** now is what a look-up has to remember that begins now. */
  get now(): number {
    return this.#dropped + this.#told.length;
  }

  add(invalidation: HoldInvalidation): void {
    const { everything, handles, userProfileIds, userIds, accountIds, secretIds, allSecrets } = invalidation;
    const others = [userProfileIds, userIds, accountIds, secretIds].some((ids) => ids.length > 0);
    const isOfHandlesAlone = handles.length > 0 && !everything && !others && !allSecrets;
    this.#told.push(isOfHandlesAlone ? new Set(handles) : undefined);
    if (this.#told.length > MAX_REMEMBERED) {
      const many = this.#told.splice(0, this.#told.length, undefined);
      this.#dropped += many.length - 1;
    }
  }

  /** mayHaveMeant tells whether what began at `since`, and has a handle if it is a token, may have been meant by one. */
  mayHaveMeant(since: number, handle?: bigint): boolean {
    return this.#told
      .slice(Math.max(since - this.#dropped, 0))
      .some((told) => told === undefined || (handle !== undefined && told.has(handle)));
  }

  /** nothingUnderWay forgets what no look-up has to know any more. */
  nothingUnderWay(): void {
    this.#dropped += this.#told.length;
    this.#told.length = 0;
  }
}
