import type { Knex } from 'knex';
import { fromColumns, toColumns } from '../db/field-columns.js';
import { listPage } from '../db/list-query.js';
import { violatedForeignKey } from '../db/pg-errors.js';
import { notFound } from '../lib/errors.js';
import { formatPgTimestamp, type Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
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
  readonly profileId: bigint;
  readonly accountId: bigint;
  readonly accountNumber: string;
}

interface OwnedSecretRow {
  id: bigint;
  user_profile_id: bigint;
  account_id: bigint;
  account_number: string;
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

const NOW = 'statement_timestamp()';
/** True for a token t that is switched on and has not expired. */
const LIVE = '(t.is_active AND (t.expires_at IS NULL OR t.expires_at >= :now))';

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
    const secrets = await trx('secrets as s')
      .join('user_profiles as p', 'p.id', 's.user_profile_id')
      .join('accounts as a', 'a.id', 'p.account_id')
      .whereIn('s.user_profile_id', profilesIn(trx, set).select('id'))
      .orderBy('s.id')
      .select<OwnedSecretRow[]>('s.id', 's.user_profile_id', 'p.account_id', 'a.account_number');
    await trx('secrets').whereIn('user_profile_id', profilesIn(trx, set).select('id')).delete();
    await profilesIn(trx, set).delete();
    return secrets.map((secret) => ({
      id: secret.id,
      profileId: secret.user_profile_id,
      accountId: secret.account_id,
      accountNumber: secret.account_number,
    }));
  }

  /** liveScopesOf lists each scope that one of the tokens has which are switched on and have not expired. */
  async liveScopesOf(trx: Knex.Transaction, set: ProfileSet, now: Instant): Promise<string[]> {
    const rows = await trx('tokens as t')
      .whereIn('t.user_profile_id', profilesIn(trx, set).select('id'))
      .whereRaw(LIVE, { now: formatPgTimestamp(now) })
      .select<{ scope: string }[]>(trx.raw('DISTINCT unnest(t.scopes) AS scope'));
    return rows.map(({ scope }) => scope);
  }

  /**
   * deactivateKnownToOthers switches off those tokens that are switched on, have not expired, and have a plaintext that
   * is accepted and was given to someone else than their user. Where it is not known to whom it was given, they stay if
   * `keepUnknown` says so. It returns them in the order of their numbers.
   */
  async deactivateKnownToOthers(
    trx: Knex.Transaction,
    tokens: TokenSet,
    now: Instant,
    { keepUnknown }: { readonly keepUnknown: boolean },
  ): Promise<DeactivatedToken[]> {
    const [column, ids] = belonging(tokens);
    const isOther = keepUnknown ? '<>' : 'IS DISTINCT FROM';
    const { rows } = await trx.raw<{ rows: DeactivatedToken[] }>(
      `WITH deactivated AS (
         UPDATE tokens t SET is_active = false, updated_at = ${NOW}
         FROM user_profiles p JOIN accounts a ON a.id = p.account_id
         WHERE p.id = t.user_profile_id AND ${column} = ANY (CAST(:ids AS bigint[])) AND ${LIVE} AND EXISTS (
           SELECT FROM token_digests d
           WHERE d.token_id = t.id AND (d.retires_at IS NULL OR d.retires_at >= :now)
             AND d.issued_by_user_id ${isOther} p.user_id)
         RETURNING t.id, t.key_id AS "keyId", t.name, p.id AS "profileId",
           a.id AS "accountId", a.account_number AS "accountNumber")
       SELECT * FROM deactivated ORDER BY id`,
      { ids: ids.map(String), now: formatPgTimestamp(now) },
    );
    return rows;
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
