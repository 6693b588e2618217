import type { Database, Query, Transaction } from '../db/knex.js';
import type { Owner } from './owner.js';
import type { Condition } from './reader-rows.js';
import type { UserProfileRef } from './refs.js';

/** The columns of an owner: the user profile and the two sides it joins. */
export interface OwnerRow {
  profile_id: bigint;
  user_id: bigint;
  username: string;
  is_staff: boolean;
  is_superuser: boolean;
  account_id: bigint;
  account_number: string;
}

export const OWNER_COLUMNS = [
  'p.id as profile_id',
  'u.id as user_id',
  'u.username',
  'u.is_staff',
  'u.is_superuser',
  'a.id as account_id',
  'a.account_number',
];

/** joinOwner joins the owner's tables to a query, where `profileId` is the column that names the profile. */
export function joinOwner(query: Query, profileId: string): Query {
  return query
    .join('user_profiles as p', 'p.id', profileId)
    .join('users as u', 'u.id', 'p.user_id')
    .join('accounts as a', 'a.id', 'p.account_id');
}

/** selectOwner selects all user profiles as owners. */
export function selectOwner(trx: Database | Transaction): Query {
  return trx('user_profiles as p')
    .join('users as u', 'u.id', 'p.user_id')
    .join('accounts as a', 'a.id', 'p.account_id')
    .select(OWNER_COLUMNS);
}

/** namedOwner is whether a user profile, with its user and its account, is the one that is meant. */
export function namedOwner(ref: UserProfileRef): Condition {
  if (ref.by === 'id') return { sql: 'p.id = ?', bindings: [String(ref.id)] };
  return { sql: 'u.username = ? AND a.account_number = ?', bindings: [ref.username, ref.accountNumber] };
}

/** whereOwner restricts a query that has the owner's tables to one user profile. */
export function whereOwner(query: Query, ref: UserProfileRef): Query {
  const { sql, bindings } = namedOwner(ref);
  return query.whereRaw(sql, bindings);
}

/**
 * findOwner returns the user profile, and keeps it and its user from changing until the transaction ends. The user is
 * locked first, as by those who delete users.
 */
export async function findOwner(trx: Transaction, ref: UserProfileRef): Promise<Owner | undefined> {
  const [row] = (await whereOwner(selectOwner(trx).forShare('u', 'p'), ref)) as OwnerRow[];
  return row && ownerFromRow(row);
}

export function ownerFromRow(row: OwnerRow): Owner {
  return {
    profileId: row.profile_id,
    userId: row.user_id,
    username: row.username,
    accountId: row.account_id,
    accountNumber: row.account_number,
    isStaff: row.is_staff,
    isSuperuser: row.is_superuser,
  };
}
