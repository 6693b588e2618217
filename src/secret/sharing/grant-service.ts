import { findOwner } from '../../authz/owner-rows.js';
import type { Owner } from '../../authz/owner.js';
import type { Caller } from '../../authz/caller.js';
import type { UserProfileRef } from '../../authz/refs.js';
import type { Propagated } from '../../coherence/propagated-changes.js';
import type { Transaction } from '../../db/knex.js';
import { reading } from '../../db/transaction.js';
import { notFound } from '../../lib/errors.js';
import type { Instant } from '../../lib/instant.js';
import type { Page, PageQuery } from '../../lib/page.js';
import type { GrantRepository } from './grant-repository.js';
import type { SecretChanges } from '../secret-changes.js';
import { requireManage, type SecretFinder } from '../secret-finder.js';
import type { SecretRef } from '../secret-ref.js';
import type { SecretGrant } from '../secret.js';

export interface GrantServiceDependencies {
  readonly grants: GrantRepository;
  readonly finder: SecretFinder;
  readonly changes: SecretChanges;
}

/** GrantService gives secrets to user profiles of any account, and takes them back. */
export class GrantService {
  readonly #deps: GrantServiceDependencies;

  constructor(deps: GrantServiceDependencies) {
    this.#deps = deps;
  }

  /** grant lets a user profile have a secret's value; if it may already, it replaces when that ends. */
  async grant(
    caller: Caller,
    ref: SecretRef,
    granteeRef: UserProfileRef,
    expiresAt: Instant | null,
  ): Promise<SecretGrant> {
    const { changes, grants } = this.#deps;
    return changes.change(caller, ref, '', async (trx, secret, callerRights) => {
      const { profileId } = await findGrantee(trx, granteeRef);
      const answer = await grants.put(trx, callerRights, secret.id, {
        granteeId: profileId,
        namesGrantee: granteeRef.by === 'membership',
        expiresAt,
        granter: caller,
      });
      return { secret, answer, done: [{ action: 'SECRET_GRANTED', detail: detailOf(profileId) }] };
    });
  }

  /**
   * revoke takes a grant back: whoever asks for the value after it has returned is refused, also by a client that held it. It does not tell whether
   * there is a profile that has none.
   */
  async revoke(caller: Caller, ref: SecretRef, granteeRef: UserProfileRef): Promise<Propagated<void>> {
    const { changes, grants } = this.#deps;
    return changes.end(caller, ref, '', async (trx, secret) => {
      const profileId = await grants.delete(trx, secret.id, granteeRef);
      if (profileId === undefined) throw notFound('grant of this secret');
      const done = { action: 'SECRET_GRANT_REVOKED', detail: detailOf(profileId) } as const;
      return { secret, answer: undefined, done: [done] };
    });
  }

  /** list lists the grants of a secret, expired ones too, for those who manage it. */
  async list(caller: Caller, ref: SecretRef, page: PageQuery): Promise<Page<SecretGrant>> {
    const { finder, grants } = this.#deps;
    return reading(async () => {
      const found = await finder.findLive(caller, ref);
      requireManage(found);
      return grants.list(found.callerRights, found.secret.id, page);
    });
  }
}

/** findGrantee finds any user profile: whom a secret is granted to need not be known to the caller otherwise. */
async function findGrantee(trx: Transaction, ref: UserProfileRef): Promise<Owner> {
  const grantee = await findOwner(trx, ref);
  if (grantee === undefined) throw notFound('user profile');
  return grantee;
}

function detailOf(profileId: bigint): Readonly<Record<string, string>> {
  return { user_profile_id: String(profileId) };
}
