import type { Knex } from 'knex';
import { KeywardError } from '../lib/errors.js';
import { isRetryable, translateDatabaseError } from './pg-errors.js';

const MOST_ATTEMPTS = 5;

/**
 * inTransaction runs `work` in one transaction and commits. A serialization failure or a deadlock runs
 * all of it again, so `work` must have no effect but through `trx`; after five attempts it is CONFLICT.
 */
export async function inTransaction<T>(knex: Knex, work: (trx: Knex.Transaction) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await knex.transaction(work);
    } catch (error) {
      if (!isRetryable(error)) throw translateDatabaseError(error);
      if (attempt === MOST_ATTEMPTS) {
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
