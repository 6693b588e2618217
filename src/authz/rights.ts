/**
 * `authz/` says who may do what. The rules in this file are pure; what they judge by is read from the database with each
 * call (`caller-rights-repository.ts`), for rights are never remembered.
 *
 *     const callerRights = await rightsReader.of(caller, trx);
 *     if (accessTo(callerRights, owner) !== 'manage') throw notFound('token');
 */

import { KeywardError } from '../lib/errors.js';
import { firstNotCovered } from '../lib/scopes.js';
import type { Transaction } from '../db/knex.js';
import type { Caller } from './caller.js';

/**
 * Who may do what with a resource that a user profile owns. The rules are those of the platform that
 * Keyward takes over from, and hold for every kind of owned resource.
 */

/** The number of the platform's own account, whose resources everyone may read. */
export const PLATFORM_ACCOUNT_NUMBER = '3141-5926-5359';

/** CallerRights is what a user's rights follow from. */
export interface CallerRights {
  readonly userId: bigint;
  readonly isStaff: boolean;
  readonly isSuperuser: boolean;
  /** The user's profiles; without one a user has no rights, not even a superuser. */
  readonly profiles: readonly { readonly id: bigint; readonly accountId: bigint }[];
}

/** CallerRightsReader reads a caller's present rights from the database: rights are never remembered. */
export interface CallerRightsReader {
  /** CREDENTIALS_REFUSED if the user is gone or switched off. */
  of(caller: Caller, trx?: Transaction): Promise<CallerRights>;
}

/** Ownership is where a resource belongs. */
export interface Ownership {
  readonly profileId: bigint;
  readonly accountId: bigint;
  readonly accountNumber: string;
}

export type Access = 'none' | 'read' | 'manage';

export function accessTo(callerRights: CallerRights, owner: Ownership): Access {
  const { profiles } = callerRights;
  if (profiles.length === 0) return 'none';
  if (callerRights.isSuperuser) return 'manage';
  if (profiles.some((profile) => profile.id === owner.profileId)) return 'manage';
  const member = profiles.some((profile) => profile.accountId === owner.accountId);
  if (member && callerRights.isStaff) return 'manage';
  return member || owner.accountNumber === PLATFORM_ACCOUNT_NUMBER ? 'read' : 'none';
}

/** Readable is the same rule for lists: everything, or what belongs to these accounts and the platform's. */
export type Readable =
  | 'everything'
  | 'nothing'
  | {
      readonly accountIds: readonly bigint[];
      /** Of this the caller manages what belongs to these accounts and profiles. */
      readonly managed: { readonly accountIds: readonly bigint[]; readonly profileIds: readonly bigint[] };
    };

export function readable(callerRights: CallerRights): Readable {
  if (callerRights.profiles.length === 0) return 'nothing';
  if (callerRights.isSuperuser) return 'everything';
  const accountIds = callerRights.profiles.map((profile) => profile.accountId);
  const profileIds = callerRights.profiles.map((profile) => profile.id);
  return { accountIds, managed: { accountIds: callerRights.isStaff ? accountIds : [], profileIds } };
}

/**
 * mayActAs tells whether the caller has all rights of another user, and so may give power to a credential of theirs.
 * Rights follow the user, so a token made for one account acts in all accounts of its owner: managing one of them is
 * not enough.
 */
export function mayActAs(callerRights: CallerRights, user: Omit<CallerRights, 'isStaff'>): boolean {
  if (callerRights.profiles.length === 0) return false;
  if (callerRights.isSuperuser || callerRights.userId === user.userId) return true;
  if (!callerRights.isStaff || user.isSuperuser) return false;
  const own = new Set(callerRights.profiles.map((profile) => profile.accountId));
  return user.profiles.every((profile) => own.has(profile.accountId));
}

/** managesAccounts tells who may use AccountService. */
export function managesAccounts(callerRights: CallerRights): boolean {
  return callerRights.isSuperuser && callerRights.profiles.length > 0;
}

/** Rank is what a user's rights follow from besides the accounts that the user belongs to. */
export type Rank = Pick<CallerRights, 'isStaff' | 'isSuperuser'>;

/** promotes tells whether a change of rank gives a user rights. A superuser has them all already. */
export function promotes(before: Rank, after: Rank): boolean {
  if (before.isSuperuser) return false;
  return after.isSuperuser || (after.isStaff && !before.isStaff);
}

/** gainsByJoining tells whether another account gives a user rights. A superuser has them all already. */
export function gainsByJoining({ isSuperuser }: Rank): boolean {
  return !isSuperuser;
}

/** requireScopes is for what gives power to credentials with these scopes: SCOPE_NOT_HELD if the caller lacks one. */
export function requireScopes({ scopes: held }: Caller, scopes: readonly string[]): void {
  const scope = firstNotCovered(held, scopes);
  if (scope === undefined) return;
  throw new KeywardError(
    'SCOPE_NOT_HELD',
    "The caller's own scopes do not cover a scope that would gain power by this.",
    { metadata: { scope } },
  );
}
