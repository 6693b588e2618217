import { findOwner } from '../authz/owner-rows.js';
import type { Owner } from '../authz/owner.js';
import type { UserProfileRef } from '../authz/refs.js';
import { accessTo, type CallerRights } from '../authz/rights.js';
import type { Transaction } from '../db/knex.js';
import { notFound, notPermitted } from '../lib/errors.js';

/** findManagedOwner finds the user profile that shall own a secret, whose secrets the caller must manage. */
export async function findManagedOwner(
  trx: Transaction,
  callerRights: CallerRights,
  ref: UserProfileRef,
): Promise<Owner> {
  const owner = await findOwner(trx, ref);
  const access = owner === undefined ? 'none' : accessTo(callerRights, owner);
  if (owner === undefined || access === 'none') throw notFound('user profile');
  if (access === 'read') throw notPermitted("The caller may not manage this user profile's secrets.");
  return owner;
}
