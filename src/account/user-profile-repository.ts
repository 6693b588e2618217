import type { Knex } from 'knex';
import { fromColumns, NOW, toColumns } from '../db/field-columns.js';
import { listPage } from '../db/list-query.js';
import { ReferenceRepository, TOKEN_REFERENCES } from '../db/reference-repository.js';
import { violatedForeignKey } from '../db/pg-errors.js';
import { notFound } from '../lib/errors.js';
import { formatPgTimestamp, type Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import { NO_CONSUMERS, type Consumers } from '../lib/references.js';
import { USER_PROFILE_COLUMNS } from './account-columns.js';
import {
  USER_PROFILE_FIELDS,
  type UserProfile,
  type UserProfileChange,
  type UserProfileSettings,
} from './account.js';
import type { UserProfileRef } from '../authz/refs.js';

/** ProfileSet is one profile, or all of an account or a user. */
export type ProfileSet =
  { readonly profileId: bigint } | { readonly accountId: bigint } | { readonly userId: bigint };

/** TokenSet is all tokens of some users or profiles, or some tokens themselves. */
export type TokenSet =
  | { readonly userIds: readonly bigint[] }
  | { readonly profileIds: readonly bigint[] }
  | { readonly tokenIds: readonly bigint[] };

/** TokenPlace is a token among those of a user, by its profile and its name. */
export interface TokenPlace {
  readonly profileId: bigint;
  readonly name: string;
}

/** SomeDeactivated are tokens that were switched off of some that were looked at, up to a place; undefined for the end. */
export interface SomeDeactivated {
  readonly tokens: readonly DeactivatedToken[];
  readonly upTo: TokenPlace | undefined;
}

/** OwnedSecret is a secret that was deleted with its owner. */
export interface OwnedSecret {
  readonly id: bigint;
  readonly profileId: bigint;
  readonly accountId: bigint;
  readonly accountNumber: string;
}

/** DeactivatedToken is a token that was switched off with a change of its owner. */
export interface DeactivatedToken {
  readonly id: bigint;
  readonly keyId: string;
  readonly name: string;
  readonly userId: bigint;
  readonly profileId: bigint;
  readonly accountId: bigint;
  readonly accountNumber: string;
  /** Who holds it. */
  readonly consumers: Consumers;
}

interface UserProfileRow {
  id: bigint;
  user_id: bigint;
  username: string;
  account_id: bigint;
  account_number: string;
  created_at: Instant | null;
  updated_at: Instant | null;
  row_version: bigint;
}

/** True for a token t that is switched on and has not expired. */
const LIVE = '(t.is_active AND (t.expires_at IS NULL OR t.expires_at >= :now))';

/**
 * Whether a token t of a profile p has a plaintext that is accepted and was given to someone else, or may have been; null
 * if not. It is looked up token by token, whatever the statistics say: a join may compare each with all others there are.
 */
const knownToOthers = (keepUnknown: boolean): string => `(SELECT true FROM token_digests d
  WHERE d.token_id = t.id AND (d.retires_at IS NULL OR d.retires_at >= :now)
    AND d.issued_by_user_id ${keepUnknown ? '<>' : 'IS DISTINCT FROM'} p.user_id LIMIT 1)`;

/** What a profile refers to, by the constraint that breaks when that is gone. */
const REFERENCES: Readonly<Record<string, string>> = {
  user_profiles_user_id_fkey: 'user',
  user_profiles_account_id_fkey: 'account',
};

/** UserProfileRepository is every SQL statement about user profiles. What writes needs a transaction. */
export class UserProfileRepository {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  async find(ref: UserProfileRef, trx: Knex = this.#knex): Promise<UserProfile | undefined> {
    return one(whereProfile(select(trx), ref));
  }

  /** lock makes other writers of this profile, and of tokens it owns, wait until the transaction ends. */
  async lock(trx: Knex.Transaction, ref: UserProfileRef): Promise<UserProfile | undefined> {
    return one(whereProfile(select(trx), ref).forUpdate('p'));
  }

  async list(page: PageQuery): Promise<Page<UserProfile>> {
    return listPage<UserProfile>(
      this.#knex,
      select(this.#knex),
      USER_PROFILE_COLUMNS,
      page,
      userProfileFromRow,
    );
  }

  /**
   * insert returns undefined if the user has a profile in the account. NOT_FOUND if the user or the account
   * was deleted meanwhile.
   */
  async insert(
    trx: Knex.Transaction,
    userId: bigint,
    accountId: bigint,
    settings: UserProfileSettings,
  ): Promise<UserProfile | undefined> {
    const [row] = await referencesExist<{ id: bigint }[]>(() =>
      trx('user_profiles')
        .insert({
          user_id: String(userId),
          account_id: String(accountId),
          ...toColumns(USER_PROFILE_FIELDS, settings),
          created_at: trx.raw(NOW),
          updated_at: trx.raw(NOW),
        })
        .onConflict(['user_id', 'account_id'])
        .ignore()
        .returning('id'),
    );
    return row && this.#stored(trx, row.id);
  }

  async update(trx: Knex.Transaction, id: bigint, change: UserProfileChange): Promise<UserProfile> {
    await trx('user_profiles')
      .where({ id: String(id) })
      .update({ ...toColumns(USER_PROFILE_FIELDS, change), updated_at: trx.raw(NOW) });
    return this.#stored(trx, id);
  }

  /** countOf counts profiles and the tokens and secrets that they own, deleted ones too, and locks the profiles. */
  async countOf(
    trx: Knex.Transaction,
    set: ProfileSet,
  ): Promise<{
    readonly ids: readonly bigint[];
    readonly profiles: number;
    readonly tokens: number;
    readonly secrets: number;
  }> {
    const ids = (await profilesIn(trx, set).orderBy('id').forUpdate().pluck('id')) as bigint[];
    const countIn = async (table: string): Promise<number> => {
      const [row] = await trx(table)
        .whereRaw('user_profile_id = ANY (?::bigint[])', [ids.map(String)])
        .count<{ owned: bigint }[]>({ owned: '*' });
      return Number(row?.owned ?? 0);
    };
    return { ids, profiles: ids.length, tokens: await countIn('tokens'), secrets: await countIn('secrets') };
  }

  /** deleteOf deletes profiles for good with the tokens and secrets that they own, and returns those secrets. */
  async deleteOf(trx: Knex.Transaction, set: ProfileSet): Promise<readonly OwnedSecret[]> {
    await trx('tokens').whereIn('user_profile_id', profilesIn(trx, set).select('id')).delete();
    const secrets = await this.deleteSecrets(trx, set, null);
    await profilesIn(trx, set).delete();
    return secrets;
  }

  async isMember(trx: Knex.Transaction, userId: bigint, accountId: bigint): Promise<boolean> {
    const found = await trx('user_profiles')
      .where({ user_id: String(userId), account_id: String(accountId) })
      .pluck('id');
    return found.length > 0;
  }

  /** deleteSecrets deletes secrets of profiles for good, `most` at most, and returns them. */
  async deleteSecrets(trx: Knex.Transaction, set: ProfileSet, most: number | null): Promise<OwnedSecret[]> {
    const { rows } = await trx.raw<{ rows: OwnedSecret[] }>(
      `WITH owned AS MATERIALIZED (
         SELECT id FROM secrets WHERE user_profile_id IN (?) LIMIT CAST(? AS bigint) FOR UPDATE
       ), deleted AS (
         DELETE FROM secrets s USING user_profiles p, accounts a
         WHERE s.id = ANY (ARRAY(SELECT id FROM owned)) AND p.id = s.user_profile_id AND a.id = p.account_id
         RETURNING s.id, p.id AS "profileId", a.id AS "accountId", a.account_number AS "accountNumber")
       SELECT * FROM deleted ORDER BY id`,
      [profilesIn(trx, set).select('id'), most],
    );
    return rows;
  }

  /**
   * liveScopesOf lists each scope that one of the tokens has which are switched on and have not expired, or only of those that
   * deactivateKnownToOthers would leave.
   */
  async liveScopesOf(
    trx: Knex.Transaction,
    set: ProfileSet,
    now: Instant,
    exceptKnownToOthers: boolean,
  ): Promise<string[]> {
    const rows = await trx('tokens as t')
      .join('user_profiles as p', 'p.id', 't.user_profile_id')
      .whereIn('t.user_profile_id', profilesIn(trx, set).select('id'))
      .whereRaw(exceptKnownToOthers ? `${LIVE} AND ${knownToOthers(false)} IS NULL` : LIVE, {
        now: formatPgTimestamp(now),
      })
      .select<{ scope: string }[]>(trx.raw('DISTINCT unnest(t.scopes) AS scope'));
    return rows.map(({ scope }) => scope);
  }

  /**
   * deactivateKnownToOthers switches off those tokens that are switched on, have not expired, and have a plaintext that
   * is accepted and was given to someone else than their user. Where it is not known to whom it was given, they stay if
   * `keepUnknown` says so. It returns them in the order of their numbers, `most` at most.
   */
  async deactivateKnownToOthers(
    trx: Knex.Transaction,
    tokens: TokenSet,
    now: Instant,
    { keepUnknown, most = null }: { readonly keepUnknown: boolean; readonly most?: number | null },
  ): Promise<DeactivatedToken[]> {
    const [column, ids] = belonging(tokens);
    const { rows } = await trx.raw<{ rows: Omit<DeactivatedToken, 'consumers'>[] }>(
      `WITH known AS MATERIALIZED (
         SELECT t.id FROM tokens t JOIN user_profiles p ON p.id = t.user_profile_id
         WHERE ${column} = ANY (CAST(:ids AS bigint[])) AND ${LIVE} AND ${knownToOthers(keepUnknown)}
         LIMIT CAST(:most AS bigint) FOR UPDATE OF t
       ), deactivated AS (
         UPDATE tokens t SET is_active = false, updated_at = ${NOW}
         FROM user_profiles p JOIN accounts a ON a.id = p.account_id
         WHERE p.id = t.user_profile_id AND t.id = ANY (ARRAY(SELECT id FROM known))
         RETURNING t.id, t.key_id AS "keyId", t.name, p.user_id AS "userId", p.id AS "profileId",
           a.id AS "accountId", a.account_number AS "accountNumber")
       SELECT * FROM deactivated ORDER BY id`,
      { ids: ids.map(String), now: formatPgTimestamp(now), most },
    );
    const references = new ReferenceRepository(trx, TOKEN_REFERENCES);
    const consumers = await references.consumersOfEach(
      rows.map(({ id }) => id),
      trx,
    );
    return rows.map((row) => ({ ...row, consumers: consumers.get(row.id) ?? NO_CONSUMERS }));
  }

  /**
   * deactivateSomeKnownToOthers does so with tokens of one user, in the order of their profiles and names, from after a place
   * on: it looks at `limit` of those that are switched on and have not expired, and not again at those before.
   */
  async deactivateSomeKnownToOthers(
    trx: Knex.Transaction,
    userId: bigint,
    now: Instant,
    after: TokenPlace | undefined,
    limit: number,
  ): Promise<SomeDeactivated> {
    const profiles = (await profilesIn(trx, { userId })
      .where('id', '>=', String(after?.profileId ?? 0n))
      .orderBy('id')
      .pluck('id')) as bigint[];
    const ids: bigint[] = [];
    let upTo: TokenPlace | undefined;
    for (const profileId of profiles) {
      const { rows } = await trx.raw<{ rows: { id: bigint; name: string }[] }>(
        `SELECT t.id, t.name FROM tokens t WHERE t.user_profile_id = :profileId AND t.name > :name AND ${LIVE}
         ORDER BY t.name LIMIT :limit FOR UPDATE`,
        {
          profileId: String(profileId),
          name: profileId === after?.profileId ? after.name : '',
          now: formatPgTimestamp(now),
          limit: limit - ids.length,
        },
      );
      ids.push(...rows.map(({ id }) => id));
      const last = rows.at(-1);
      if (last !== undefined && ids.length === limit) {
        upTo = { profileId, name: last.name };
        break;
      }
    }
    const tokens = await this.deactivateKnownToOthers(trx, { tokenIds: ids }, now, { keepUnknown: false });
    return { tokens, upTo };
  }

  async #stored(trx: Knex.Transaction, id: bigint): Promise<UserProfile> {
    const profile = await this.find({ by: 'id', id }, trx);
    if (profile === undefined) throw new Error('a user profile locked or made in this transaction is gone');
    return profile;
  }
}

function select(trx: Knex): Knex.QueryBuilder {
  return trx('user_profiles as p')
    .join('users as u', 'u.id', 'p.user_id')
    .join('accounts as a', 'a.id', 'p.account_id')
    .select('p.*', 'u.username', 'a.account_number');
}

function whereProfile(query: Knex.QueryBuilder, ref: UserProfileRef): Knex.QueryBuilder {
  if (ref.by === 'id') return query.where('p.id', String(ref.id));
  return query.where('u.username', ref.username).where('a.account_number', ref.accountNumber);
}

function profilesIn(trx: Knex.Transaction, set: ProfileSet): Knex.QueryBuilder {
  const query = trx('user_profiles');
  if ('profileId' in set) return query.where({ id: String(set.profileId) });
  if ('accountId' in set) return query.where({ account_id: String(set.accountId) });
  return query.where({ user_id: String(set.userId) });
}

/** belonging is the column that tells whether a token is of the set, and its values. */
function belonging(set: TokenSet): [column: string, ids: readonly bigint[]] {
  if ('userIds' in set) return ['p.user_id', set.userIds];
  return 'profileIds' in set ? ['p.id', set.profileIds] : ['t.id', set.tokenIds];
}

async function one(query: Knex.QueryBuilder): Promise<UserProfile | undefined> {
  const [row] = (await query) as UserProfileRow[];
  return row && userProfileFromRow(row);
}

async function referencesExist<T>(statement: () => PromiseLike<T>): Promise<T> {
  try {
    return await statement();
  } catch (error) {
    const kind = REFERENCES[violatedForeignKey(error) ?? ''];
    throw kind === undefined ? error : notFound(kind);
  }
}

function userProfileFromRow(row: UserProfileRow): UserProfile {
  return {
    id: row.id,
    ...fromColumns(USER_PROFILE_FIELDS, row),
    userId: row.user_id,
    username: row.username,
    accountId: row.account_id,
    accountNumber: row.account_number,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    rowVersion: row.row_version,
  };
}
