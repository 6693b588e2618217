import type { Database, Query, Transaction } from '../db/knex.js';
import { prepareEach } from '../db/prepared.js';
import { credentialsRefused } from '../lib/errors.js';
import type { Caller } from './caller.js';
import type { Condition } from './reader-rows.js';
import type { CallerRights } from './rights.js';

/** CallerRow is what the rights of a user follow from. */
export interface CallerRow {
  caller_is_staff: boolean;
  caller_is_superuser: boolean;
  /** In the same order; the driver gives the elements of bigint[] as text. */
  caller_profile_ids: string[];
  caller_account_ids: string[];
}

/** CALLER_COLUMNS are those of a CallerRow, where `c` are callers. */
export const CALLER_COLUMNS =
  'c.caller_is_staff, c.caller_is_superuser, c.caller_profile_ids, c.caller_account_ids';

/** callers selects active users `u` for whom an SQL condition holds, each with what its rights follow from. */
export function callers(condition: string): string {
  return `SELECT u.id, u.is_staff AS caller_is_staff, u.is_superuser AS caller_is_superuser,
      coalesce(array_agg(p.id ORDER BY p.id) FILTER (WHERE p.id IS NOT NULL), '{}') AS caller_profile_ids,
      coalesce(array_agg(p.account_id ORDER BY p.id) FILTER (WHERE p.id IS NOT NULL), '{}') AS caller_account_ids
    FROM users u LEFT JOIN user_profiles p ON p.user_id = u.id
    WHERE ${condition} AND u.is_active GROUP BY u.id`;
}

export function callerRightsFromRow(userId: bigint, row: CallerRow): CallerRights {
  return {
    userId,
    isStaff: row.caller_is_staff,
    isSuperuser: row.caller_is_superuser,
    profiles: row.caller_profile_ids.map((id, index) => ({
      id: BigInt(id),
      accountId: BigInt(row.caller_account_ids[index] ?? 0),
    })),
  };
}

/** BesideRights is what a caller named, as it is stored, and the caller's rights at the same moment. */
export interface BesideRights<T> {
  readonly callerRights: CallerRights;
  readonly found: readonly T[];
}

/** ReadBesideRights reads what a condition names. CREDENTIALS_REFUSED if the caller's user is gone or switched off. */
export type ReadBesideRights<Row> = (
  caller: Caller,
  named: Condition,
  trx?: Transaction,
) => Promise<BesideRights<Row>>;

/** Of a name in a whole account there may be many. */
const MAX_FOUND = 100;

/**
 * readBesideRights makes prepared statements, one for each of a few conditions, that read what `select` selects together
 * with the rights of a caller, who is `c` in it. What is selected has an `id`, by which it is ordered.
 */
export function readBesideRights<Row extends { id: bigint }>(
  knex: Database,
  name: string,
  select: Query,
): ReadBesideRights<Row> {
  const read = prepareEach<CallerRow & (Row | { id: null })>(knex, name, (condition) => {
    const found = select.clone().whereRaw(condition).orderBy('id').limit(MAX_FOUND).toQuery();
    return `SELECT ${CALLER_COLUMNS}, found.* FROM (${callers('u.id = $1')}) c
      LEFT JOIN LATERAL (${found}) found ON true ORDER BY found.id`;
  });
  return async ({ userId }, { sql, bindings }, trx) => {
    let place = 1;
    const condition = sql.replaceAll('?', () => `$${(place += 1)}`);
    const rows = await read(condition, [String(userId), ...bindings], trx);
    const [caller] = rows;
    if (caller === undefined) throw credentialsRefused();
    const found = rows.filter((row): row is CallerRow & Row => row.id !== null);
    return { callerRights: callerRightsFromRow(userId, caller), found };
  };
}
