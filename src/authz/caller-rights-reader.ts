import type { Caller } from './caller.js';
import type { CallerRights } from './rights.js';
import type { Transaction } from '../db/knex.js';

/** CallerRightsReader reads a caller's present rights from the database: rights are never remembered. */
export interface CallerRightsReader {
  /** CREDENTIALS_REFUSED if the user is gone or switched off. */
  of(caller: Caller, trx?: Transaction): Promise<CallerRights>;
}
