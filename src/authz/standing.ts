import type { Caller } from './caller.js';
import type { Standing } from './rights.js';
import type { Transaction } from '../db/knex.js';

/** StandingReader reads a caller's present standing from the database: rights are never remembered. */
export interface StandingReader {
  /** CREDENTIALS_REFUSED if the user is gone or switched off. */
  of(caller: Caller, trx?: Transaction): Promise<Standing>;
}
