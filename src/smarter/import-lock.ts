import type { Knex } from 'knex';
import { IMPORT_LOCK } from '../db/advisory-locks.js';
import { hasCode } from '../lib/errno.js';
import { SmarterImportError } from './smarter-import-error.js';
import { query } from './target-store.js';

/** What waits for a follower's cycle, or for a command, does so for so long. */
const PATIENCE = '5s';
const LOCK_NOT_AVAILABLE = '55P03';

/** ImportsBusy tells that another import or export is running. */
export class ImportsBusy extends SmarterImportError {
  override readonly name = 'ImportsBusy';

  constructor(cause: unknown) {
    super('Another import or export of this database is running.', { cause });
  }
}

/**
 * lockImports makes sure that nothing else takes over from the platform, or writes back to it, until the transaction ends.
 * Followers hold the lock for a cycle, and commands for as long as they run.
 * @throws ImportsBusy where it is held for longer than a cycle takes
 */
export async function lockImports(trx: Knex.Transaction): Promise<void> {
  await trx.raw(`SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = '${PATIENCE}'`);
  try {
    await query(trx, 'SELECT pg_advisory_xact_lock(?)', [IMPORT_LOCK]);
  } catch (error) {
    if (!hasCode(error, LOCK_NOT_AVAILABLE)) throw error;
    throw new ImportsBusy(error);
  }
  await trx.raw('SET LOCAL lock_timeout TO DEFAULT');
}

/** alone does some work while nothing else imports or exports. The transaction that it is given is never committed. */
export async function alone<T>(target: Knex, work: (holder: Knex.Transaction) => Promise<T>): Promise<T> {
  const holder = await target.transaction();
  try {
    await lockImports(holder);
    return await work(holder);
  } finally {
    // It may have been lost with its connection.
    await holder.rollback().catch(() => undefined);
  }
}
