import type { Knex } from 'knex';
import type { DeactivationCause } from '../account/account-entries.js';
import { gainsByJoining, promotes, type Rank } from '../authz/rights.js';
import type { TokenSet, UserProfileRepository } from '../account/user-profile-repository.js';
import type { Clock } from '../lib/clock.js';
import { presentOf } from '../lib/instant.js';
import type { BatchReport } from './report.js';
import { query } from './target-store.js';

export interface PromotionsDependencies {
  readonly profiles: Pick<UserProfileRepository, 'deactivateKnownToOthers'>;
  readonly clock: Clock;
  /** Leave all tokens switched on. */
  readonly keepTokens: boolean;
}

/** Owners is what the rights of some users follow from; numbers of rows are texts here. */
interface Owners {
  readonly ranks: ReadonlyMap<string, Rank>;
  readonly profiles: ReadonlyMap<string, { readonly userId: string; readonly accountId: string }>;
}

/**
 * Promotions switches tokens off that gain by an import although someone else has their plaintext, as a promotion by a
 * call does. It leaves those whose issuer is not known: they came from the platform, whose word the import is.
 */
export class Promotions {
  readonly #deps: PromotionsDependencies;

  constructor(deps: PromotionsDependencies) {
    this.#deps = deps;
  }

  /** changeUsers makes a change of these users, or of their profiles. They are locked, so that they get no tokens meanwhile. */
  async changeUsers(
    trx: Knex.Transaction,
    ids: readonly string[],
    report: BatchReport,
    change: () => Promise<void>,
  ): Promise<void> {
    if (this.#deps.keepTokens || ids.length === 0) return change();
    const before = await readOwners(trx, ids);
    await change();
    const after = await readOwners(trx, ids);

    const promoted = [...after.ranks].filter(([id, rank]) => promotes(before.ranks.get(id) ?? rank, rank));
    await this.#switchOff(trx, { userIds: idsOf(promoted) }, 'owner_promoted', report);
    const moved = [...after.profiles].filter(([id, { userId }]) => {
      return userId !== (before.profiles.get(id)?.userId ?? userId);
    });
    await this.#switchOff(trx, { profileIds: idsOf(moved) }, 'owner_changed', report);
    const belonged = membershipsOf(before);
    const joined = [...membershipsOf(after)].filter(([userId, accountIds]) => {
      const rank = after.ranks.get(userId);
      const isNew = (accountId: string): boolean => belonged.get(userId)?.has(accountId) !== true;
      return rank !== undefined && gainsByJoining(rank) && [...accountIds].some(isNew);
    });
    await this.#switchOff(trx, { userIds: idsOf(joined) }, 'owner_joined_account', report);
  }

  /** changeTokens makes a change that may give these tokens to other users. */
  async changeTokens(
    trx: Knex.Transaction,
    ids: readonly string[],
    report: BatchReport,
    change: () => Promise<void>,
  ): Promise<void> {
    if (this.#deps.keepTokens || ids.length === 0) return change();
    const before = await readUsersOf(trx, ids);
    await change();
    const after = await readUsersOf(trx, ids);
    const moved = [...after].filter(([id, userId]) => userId !== before.get(id));
    await this.#switchOff(trx, { tokenIds: idsOf(moved) }, 'owner_changed', report);
  }

  async #switchOff(
    trx: Knex.Transaction,
    tokens: TokenSet,
    cause: DeactivationCause,
    report: BatchReport,
  ): Promise<void> {
    if (Object.values(tokens).every((ids: readonly bigint[]) => ids.length === 0)) return;
    const { profiles, clock } = this.#deps;
    const now = presentOf(clock);
    const deactivated = await profiles.deactivateKnownToOthers(trx, tokens, now, { keepUnknown: true });
    for (const token of deactivated) report.switchedOff(token, cause);
  }
}

async function readOwners(trx: Knex.Transaction, userIds: readonly string[]): Promise<Owners> {
  const users = await query<Rank & { id: string }>(
    trx,
    `SELECT u.id::text AS id, u.is_staff AS "isStaff", u.is_superuser AS "isSuperuser"
     FROM users u WHERE u.id = ANY (?::bigint[]) ORDER BY u.id FOR UPDATE`,
    [[...userIds]],
  );
  const profiles = await query<{ id: string; userId: string; accountId: string }>(
    trx,
    `SELECT id::text AS id, user_id::text AS "userId", account_id::text AS "accountId"
     FROM user_profiles WHERE user_id = ANY (?::bigint[])`,
    [[...userIds]],
  );
  return {
    ranks: new Map(users.map((user) => [user.id, user])),
    profiles: new Map(profiles.map((profile) => [profile.id, profile])),
  };
}

/** readUsersOf tells whose these tokens are, and locks them: nobody gives them more power meanwhile. */
async function readUsersOf(trx: Knex.Transaction, tokenIds: readonly string[]): Promise<Map<string, string>> {
  const rows = await query<{ id: string; userId: string }>(
    trx,
    `SELECT t.id::text AS id, p.user_id::text AS "userId"
     FROM tokens t JOIN user_profiles p ON p.id = t.user_profile_id
     WHERE t.id = ANY (?::bigint[]) ORDER BY t.id FOR UPDATE OF t`,
    [[...tokenIds]],
  );
  return new Map(rows.map(({ id, userId }) => [id, userId]));
}

/** membershipsOf is the accounts of each user. */
function membershipsOf({ profiles }: Owners): Map<string, Set<string>> {
  const memberships = new Map<string, Set<string>>();
  for (const { userId, accountId } of profiles.values()) {
    const accounts = memberships.get(userId);
    if (accounts) accounts.add(accountId);
    else memberships.set(userId, new Set([accountId]));
  }
  return memberships;
}

function idsOf(entries: readonly (readonly [id: string, unknown])[]): bigint[] {
  return entries.map(([id]) => BigInt(id));
}
