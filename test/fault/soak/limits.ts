import { TTL_MS } from '../../../src/coherence/lease.js';
import { DATABASE_TIMEOUT_SECONDS } from '../campaign/site.js';

/** In which a call must end that only reads, whatever becomes of the database. */
export const READ_MS = DATABASE_TIMEOUT_SECONDS * 1_000 + 2_000;
/** In which one must that changes something: it may wait for the lease of a replica that is silent. */
export const CHANGE_MS = READ_MS + TTL_MS;
/** The deadline of calls, which none should need. */
export const DEADLINE_MS = 20_000;
