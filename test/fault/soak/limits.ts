import { DATABASE_TIMEOUT_SECONDS } from '../campaign/site.js';

/** In which a call must end, whatever becomes of the database and of other replicas. */
export const BOUND_MS = DATABASE_TIMEOUT_SECONDS * 1_000 + 2_000;
/** The deadline of most calls, which none should need. */
export const DEADLINE_MS = 20_000;
