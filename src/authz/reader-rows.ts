import { PLATFORM_ACCOUNT_NUMBER, readable, type CallerRights } from './rights.js';

/** Condition is an SQL condition and the values of its question marks. */
export interface Condition {
  readonly sql: string;
  readonly bindings: readonly (string | string[])[];
}

const ALWAYS: Condition = { sql: 'true', bindings: [] };
const NEVER: Condition = { sql: 'false', bindings: [] };

/** mayReadProfile is whether someone may read the user profile `p`, and what it owns for where it belongs. */
export function mayReadProfile(callerRights: CallerRights): Condition {
  const own = readable(callerRights);
  if (own === 'everything') return ALWAYS;
  if (own === 'nothing') return NEVER;
  const bindings = [own.accountIds.map(String), PLATFORM_ACCOUNT_NUMBER];
  // One set of accounts, so that an index leads to their profiles.
  const sql = 'p.account_id = ANY (?::bigint[] || ARRAY(SELECT id FROM accounts WHERE account_number = ?))';
  return { sql, bindings };
}

/** mayReadUser is whether someone may read a profile of the user whose number is in a column, or is that user. */
export function mayReadUser(callerRights: CallerRights, column: string): Condition {
  const { sql, bindings } = mayReadProfile(callerRights);
  if (bindings.length === 0) return { sql, bindings };
  return {
    sql: `(${column} = ?::bigint OR EXISTS (
      SELECT FROM user_profiles p WHERE p.user_id = ${column} AND ${sql}))`,
    bindings: [String(callerRights.userId), ...bindings],
  };
}

/** ownedReadably is whether what belongs to the user profile that a column names may be read for where it belongs. */
export function ownedReadably(callerRights: CallerRights, column: string): Condition {
  const { sql, bindings } = mayReadProfile(callerRights);
  if (bindings.length === 0) return { sql, bindings };
  return { sql: `${column} = ANY (ARRAY(SELECT p.id FROM user_profiles p WHERE ${sql}))`, bindings };
}

/** MEANT_BY_CALLER is meantByName for the caller `c` of a statement. */
export const MEANT_BY_CALLER = '(u.is_staff OR u.is_superuser OR p.id = ANY (c.caller_profile_ids))';

/**
 * meantByName is whether what belongs to the user profile `p` of the user `u` is meant where someone names it by its
 * account alone, and not only to read about it: what is someone's own, and what belongs to staff. Others of the account
 * may give what is theirs any name, and would be taken for staff.
 */
export function meantByName(callerRights: CallerRights): Condition {
  const own = callerRights.profiles.map(({ id }) => String(id));
  return { sql: '(u.is_staff OR u.is_superuser OR p.id = ANY (?::bigint[]))', bindings: [own] };
}
