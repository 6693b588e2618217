/**
 * `db/` is PostgreSQL: the pool and its limits, transactions that are run again where that helps, migrations, and the
 * embedded server. The SQL of a resource is in its own folder.
 *
 *     const token = await inTransactionFor(caller, knex, (trx) => tokens.insert(trx, owner, settings));
 */

import type { Knex } from 'knex';
import { clientGone, KeywardError, Validated, type Client } from '../lib/errors.js';
import type { DatabaseClient } from './database-client.js';
import { hasStaleStatements, isOutcomeUnknown, isRetryable, translateDatabaseError } from './pg-errors.js';

const MAX_ATTEMPTS = 5;
/** How often it is looked whether a client is still there. */
const LOOK_MS = 100;

/**
 * inTransaction runs `work` in one transaction and commits. A serialization failure or a deadlock runs
 * all of it again, so `work` must have no effect but through `trx`; after five attempts it is CONFLICT. So does a statement that
 * the connection had prepared and that has gone stale: the next attempt has a new connection.
 *
 * `forget` is told the result once it is committed, before the caller is: what is remembered may be wrong now.
 * Within another transaction, `work` is a part of that, which is run again as a whole, and alone commits: `forget` is told
 * when the part is done.
 *
 * `forget` is told too where the connection was lost when the commit may have been under way: nobody knows then.
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
    const isUnavailable = error instanceof KeywardError && error.reason === 'DATABASE_UNAVAILABLE';
    if (made === undefined || !isUnavailable) throw error;
    forget(made.result);
    // DATABASE_UNAVAILABLE says by `outcome` in its metadata that the change may have been made.
    throw isOutcomeUnknown(error.cause) ? outcomeUnknown(error.cause) : error;
  }
}

/**
 * inTransactionFor does the same for a client. Nothing is committed once that has gone: it would never know of what was
 * done, and could not tell it from what was not. The work may be under way by then, so it is asked right before COMMIT.
 * For a client that only validates all is rolled back there, by Validated: of several transactions the first one ends the call.
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
    if (client.validatesOnly === true) throw new Validated();
    return result;
  };
  return inTransaction(knex, workFor, forget);
}

async function attempt<T>(knex: Knex, work: (trx: Knex.Transaction) => Promise<T>): Promise<T> {
  if (knex.isTransaction === true) return knex.transaction(work);
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await knex.transaction(work);
    } catch (error) {
      if (!isRetryable(error) && !hasStaleStatements(error)) throw translateDatabaseError(error);
      if (attempts === MAX_ATTEMPTS) {
        throw new KeywardError('CONFLICT', 'The call lost against concurrent changes; send it again.', {
          cause: error,
        });
      }
    }
  }
}

/**
 * reading runs a query outside a transaction and translates its errors. It is run again where that may help, so it must
 * be one that can be repeated.
 */
export async function reading<T>(query: () => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await query();
    } catch (error) {
      const mayHelp = isRetryable(error) || hasStaleStatements(error);
      if (!mayHelp || attempts === MAX_ATTEMPTS) throw translateDatabaseError(error);
    }
  }
}

/**
 * readingFor does so on a connection of its own for a client, and has the server give the query up when that has gone:
 * nobody waits for it any more, and others may for the connection. The query uses the connection that it is given.
 */
export function readingFor<T>(
  client: Client,
  knex: Knex,
  query: (connection: unknown) => Promise<T>,
): Promise<T> {
  return reading(async () => {
    const pool = knex.client as Knex.Client;
    const connection = (await pool.acquireConnection()) as DatabaseClient;
    const looking = setInterval(() => {
      if (client.isGone()) connection.cancel();
    }, LOOK_MS);
    try {
      if (client.isGone()) throw clientGone();
      return await query(connection);
    } catch (error) {
      throw client.isGone() ? clientGone() : error;
    } finally {
      clearInterval(looking);
      await pool.releaseConnection(connection);
    }
  });
}

function outcomeUnknown(cause: unknown): KeywardError {
  const message = 'The database was lost when the change was committed: it is not known whether it was made.';
  return new KeywardError('DATABASE_UNAVAILABLE', message, { metadata: { outcome: 'unknown' }, cause });
}
