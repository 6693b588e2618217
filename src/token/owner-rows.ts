import type { Query } from '../db/knex.js';
import type { TokenOwner } from './token.js';

/** The columns of a token's owner: the user profile and the two sides it joins. */
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

export function ownerFromRow(row: OwnerRow): TokenOwner {
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
