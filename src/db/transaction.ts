import type { Knex } from 'knex';
import { clientGone, KeywardError } from '../lib/errors.js';
import { isRetryable, translateDatabaseError } from './pg-errors.js';

const MOST_ATTEMPTS = 5;

/**
 * inTransaction runs `work` in one transaction and commits. A serialization failure or a deadlock runs
 * all of it again, so `work` must have no effect but through `trx`; after five attempts it is CONFLICT.
 *
 * `forget` is told the result once it is committed, before the caller is: what is remembered may be wrong now.
 * It is told too where the connection was lost when the commit may have been under way: nobody knows then.
 */
export async function inTransaction<T>(
  knex: Knex,
  work: (trx: Knex.Transaction) => Promise<T>,
  forget: (result: T) => void = () => undefined,
): Promise<T> {
  let made: { readonly result: T } | undefined;
  try {
    const result = await attempt(knex, async (trx) => {
      made = undefined;
      made = { result: await work(trx) };
      return made.result;
    });
    forget(result);
    return result;
  } catch (error) {
    const isUnknown = error instanceof KeywardError && error.reason === 'DATABASE_UNAVAILABLE';
    if (made !== undefined && isUnknown) forget(made.result);
    throw error;
  }
}

/** Client is who waits for what a transaction does. */
export interface Client {
  readonly isGone: () => boolean;
}

/**
 * inTransactionFor does the same for a client. Nothing is committed once that has gone: it would never know of what was
 * done, and could not tell it from what was not. The work may be under way by then, so it is asked right before COMMIT.
 */
export function inTransactionFor<T>(
  client: Client,
  knex: Knex,
  work: (trx: Knex.Transaction) => Promise<T>,
  forget?: (result: T) => void,
): Promise<T> {
  const workFor = async (trx: Knex.Transaction): Promise<T> => {
    const result = await work(trx);
    if (client.isGone()) throw clientGone();
    return result;
  };
  return inTransaction(knex, workFor, forget);
}

async function attempt<T>(knex: Knex, work: (trx: Knex.Transaction) => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await knex.transaction(work);
    } catch (error) {
      if (!isRetryable(error)) throw translateDatabaseError(error);
      if (attempts === MOST_ATTEMPTS) {
        throw new KeywardError('CONFLICT', 'The call lost against concurrent changes; send it again.', {
          cause: error,
        });
      }
    }
  }
}

/** reading runs a query outside a transaction and translates its errors. */
export async function reading<T>(query: () => Promise<T>): Promise<T> {
  try {
    return await query();
  } catch (error) {
    throw translateDatabaseError(error);
  }
}
