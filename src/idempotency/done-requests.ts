/**
 * `idempotency/` makes it harmless to send a call again that has a `request_id`: the second one changes nothing and is told
 * which resource the first one led to.
 *
 *     await doneRequests.claim(trx, caller);
 *     await doneRequests.done(trx, caller, { kind: 'token', id });
 */

import type { Transaction } from '../db/knex.js';
import type { Caller } from '../authz/caller.js';

/** Resource is what a call made or changed. */
export interface Resource {
  readonly kind: 'account' | 'user' | 'user_profile' | 'token' | 'secret';
  readonly id: bigint;
  /** Of a call that added a version of a secret. */
  readonly version?: number;
}

/**
 * DoneRequests remembers the calls that callers gave an id of their own, so that they can send one again without
 * knowing whether it was done. What a call does and that it was done is committed together.
 */
export interface DoneRequests {
  /**
   * claim comes first in a transaction. REQUEST_ALREADY_DONE if the caller's user had such a call done before,
   * INVALID_FIELDS if that was of another method. While a transaction has claimed an id, another one waits for it.
   */
  claim(trx: Transaction, caller: Caller): Promise<void>;
  /** done notes what the call led to. It must follow a claim before the transaction ends. */
  done(trx: Transaction, caller: Caller, resource: Resource): Promise<void>;
}
