import type { Knex } from 'knex';
import { IMPORT_LOCK } from '../db/advisory-locks.js';
import { hasCode } from '../lib/errno.js';
import { SmarterImportError } from './smarter-import-error.js';
import { query } from './target-store.js';

/** What waits for a follower's cycle, or for a command, does so for so long. */
const PATIENCE = '5s';
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * lockImports makes sure that nothing else takes over from the platform, or writes back to it, until the transaction ends.
 * Followers hold the lock for a cycle, and commands for as long as they run.
 * @throws SmarterImportError where it is held for longer than a cycle takes
 */
export async function lockImports(trx: Knex.Transaction): Promise<void> {
  await trx.raw(`SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = '${PATIENCE}'`);
  try {
    await query(trx, 'SELECT pg_advisory_xact_lock(?)', [IMPORT_LOCK]);
  } catch (error) {
    if (!hasCode(error, LOCK_NOT_AVAILABLE)) throw error;
    throw new SmarterImportError('Another import or export of this database is running.', { cause: error });
  }
  await trx.raw('SET LOCAL lock_timeout TO DEFAULT');
}
