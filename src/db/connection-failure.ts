import { KeywardError } from '../lib/errors.js';
import { placeOf } from './database-link.js';
import { translateDatabaseError } from './pg-errors.js';

/** DatabaseUnreachable says in one line which database cannot be used, and why. */
class DatabaseUnreachable extends Error {
  override readonly name = 'DatabaseUnreachable';
}

/** unreachable makes that of an error which means it; other errors it returns as they are. */
export function unreachable(url: string, error: unknown): unknown {
  const translated = translateDatabaseError(error);
  if (!(translated instanceof KeywardError) || translated.reason !== 'DATABASE_UNAVAILABLE') return error;
  return new DatabaseUnreachable(`${placeOf(url)} cannot be used: ${whyUnreachable(error)}`, {
    cause: error,
  });
}

/** whyUnreachable is the one line of an error that tells its cause. */
function whyUnreachable(error: unknown): string {
  if (error instanceof KeywardError && error.cause !== undefined) return whyUnreachable(error.cause);
  // A failed connection to several addresses has its text in the single failures.
  if (error instanceof AggregateError && error.message === '')
    return [...new Set(error.errors.map(whyUnreachable))].join('; ');
  const text = error instanceof Error ? error.message : String(error);
  // Knex puts the statement before what the driver says.
  return text.replace(/^(?:select|with|insert|update|delete|begin)\b.* - /is, '').split('\n', 1)[0] ?? '';
}
