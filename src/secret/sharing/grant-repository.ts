import type { Knex } from 'knex';
import { joinOwner, whereOwner } from '../../authz/owner-rows.js';
import { mayReadProfile, mayReadUser } from '../../authz/reader-rows.js';
import type { UserProfileRef } from '../../authz/refs.js';
import type { CallerRights } from '../../authz/rights.js';
import { listPage } from '../../db/list-query.js';
import { formatPgTimestamp, type Instant } from '../../lib/instant.js';
import type { Page, PageQuery } from '../../lib/page.js';
import { GRANT_COLUMNS } from '../secret-columns.js';
import type { SecretGrant } from '../secret.js';

interface GrantRow {
  user_profile_id: bigint;
  username: string;
  account_number: string;
  expires_at: Instant | null;
  granted_by: string;
  created_at: Instant;
}

/** GrantTerm is to whom a secret is granted, and until when: null for always. */
export interface GrantTerm {
  readonly secretId: bigint;
  readonly profileId: bigint;
  readonly expiresAt: Instant | null;
}

/** NewGrant is whom a secret is granted to, by whom and until when. */
interface NewGrant {
  readonly granteeId: bigint;
  /** Whether whoever grants knows the grantee by name. */
  readonly namesGrantee: boolean;
  readonly expiresAt: Instant | null;
  readonly granter: { readonly userId: bigint; readonly username: string };
}

/** GrantRepository is every SQL statement about grants of a secret. To write, the secret must be locked. */
export class GrantRepository {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /** list lists grants as somebody may see them who manages the secret: no filter finds what is hidden either. */
  async list(reader: CallerRights, secretId: bigint, page: PageQuery): Promise<Page<SecretGrant>> {
    return listPage<SecretGrant>(
      this.#knex,
      select(this.#knex, reader, secretId),
      GRANT_COLUMNS,
      page,
      grantFromRow,
    );
  }

  /** secretsGrantedTo tells which of the secrets are granted to one of the user profiles, and are so now. */
  async secretsGrantedTo(
    profileIds: readonly bigint[],
    secretIds: readonly bigint[],
    now: Instant,
    trx: Knex = this.#knex,
  ): Promise<Set<bigint>> {
    const ids = (await trx('secret_grants')
      .whereRaw('secret_id = ANY (?::bigint[])', [secretIds.map(String)])
      .whereRaw('user_profile_id = ANY (?::bigint[])', [profileIds.map(String)])
      .whereRaw('(expires_at IS NULL OR expires_at >= ?::timestamptz)', [formatPgTimestamp(now)])
      .pluck('secret_id')) as bigint[];
    return new Set(ids);
  }

  /** termsOf returns all grants of secrets, expired ones too. */
  async termsOf(secretIds: readonly bigint[]): Promise<GrantTerm[]> {
    if (secretIds.length === 0) return [];
    return this.#knex('secret_grants')
      .whereRaw('secret_id = ANY (?::bigint[])', [secretIds.map(String)])
      .select<GrantTerm[]>(
        'secret_id as secretId',
        'user_profile_id as profileId',
        'expires_at as expiresAt',
      );
  }

  /** put makes a grant, or replaces when the grant to the same profile expires. */
  async put(
    trx: Knex.Transaction,
    reader: CallerRights,
    secretId: bigint,
    { granteeId, namesGrantee, expiresAt, granter }: NewGrant,
  ): Promise<SecretGrant> {
    const until = {
      expires_at: expiresAt === null ? null : formatPgTimestamp(expiresAt),
      granted_by: granter.username,
      granted_by_user_id: String(granter.userId),
    };
    await trx('secret_grants')
      .insert({
        ...{ secret_id: String(secretId), user_profile_id: String(granteeId), ...until },
        names_grantee: namesGrantee,
      })
      .onConflict(['secret_id', 'user_profile_id'])
      .merge({
        ...until,
        names_grantee: trx.raw('secret_grants.names_grantee OR excluded.names_grantee'),
      });
    const query = select(trx, reader, secretId).where('g.user_profile_id', String(granteeId));
    const [grant] = (await query) as GrantRow[];
    if (grant === undefined) throw new Error('a grant made in this transaction is gone');
    return grantFromRow(grant);
  }

  /** delete gives the number of the profile whose grant it was, undefined if there was no such grant. */
  async delete(
    trx: Knex.Transaction,
    secretId: bigint,
    grantee: UserProfileRef,
  ): Promise<bigint | undefined> {
    const query = joinOwner(trx('secret_grants as g'), 'g.user_profile_id').where(
      'g.secret_id',
      String(secretId),
    );
    const [granteeId] = (await whereOwner(query, grantee).pluck('p.id')) as bigint[];
    if (granteeId === undefined) return undefined;
    await trx('secret_grants')
      .where({ secret_id: String(secretId), user_profile_id: String(granteeId) })
      .delete();
    return granteeId;
  }
}

/**
 * select gives grants with the names that somebody may know who manages the secret: of people whom they may read, and
 * of grantees whom one of those who manage it named.
 */
function select(knex: Knex, reader: CallerRights, secretId: bigint): Knex.QueryBuilder {
  const profile = mayReadProfile(reader);
  const granter = mayReadUser(reader, 'g.granted_by_user_id');
  const known = `(g.names_grantee OR ${profile.sql})`;
  const grants = joinOwner(knex('secret_grants as g'), 'g.user_profile_id')
    .select('g.user_profile_id', 'g.expires_at', 'g.created_at')
    .select(
      knex.raw(`CASE WHEN ${known} THEN u.username ELSE '' END AS username`, profile.bindings),
      knex.raw(`CASE WHEN ${known} THEN a.account_number ELSE '' END AS account_number`, profile.bindings),
      knex.raw(`CASE WHEN ${granter.sql} THEN g.granted_by ELSE '' END AS granted_by`, granter.bindings),
    )
    .where('g.secret_id', String(secretId));
  return knex.select('g.*').from(grants.as('g'));
}

function grantFromRow(row: GrantRow): SecretGrant {
  return {
    grantee: {
      profileId: row.user_profile_id,
      username: row.username,
      accountNumber: row.account_number,
    },
    expiresAt: row.expires_at,
    grantedBy: row.granted_by,
    createdAt: row.created_at,
  };
}
