import type { Knex } from 'knex';
import { joinOwner, OWNER_COLUMNS, ownerFromRow, type OwnerRow } from '../account/owner-rows.js';
import { listPage } from '../db/list-query.js';
import { formatPgTimestamp, type Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import { GRANT_COLUMNS } from './secret-columns.js';
import type { SecretGrant } from './secret.js';

interface GrantRow extends OwnerRow {
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

/** GrantRepository is every SQL statement about grants of a secret. To write, the secret must be locked. */
export class GrantRepository {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  async list(secretId: bigint, page: PageQuery): Promise<Page<SecretGrant>> {
    return listPage<SecretGrant>(this.#knex, select(this.#knex, secretId), GRANT_COLUMNS, page, grantFromRow);
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
    secretId: bigint,
    profileId: bigint,
    expiresAt: Instant | null,
    grantedBy: string,
  ): Promise<SecretGrant> {
    const until = {
      expires_at: expiresAt === null ? null : formatPgTimestamp(expiresAt),
      granted_by: grantedBy,
    };
    await trx('secret_grants')
      .insert({ secret_id: String(secretId), user_profile_id: String(profileId), ...until })
      .onConflict(['secret_id', 'user_profile_id'])
      .merge(until);
    const [grant] = (await select(trx, secretId).where('p.id', String(profileId))) as GrantRow[];
    if (grant === undefined) throw new Error('a grant made in this transaction is gone');
    return grantFromRow(grant);
  }

  /** delete tells whether there was such a grant. */
  async delete(trx: Knex.Transaction, secretId: bigint, profileId: bigint): Promise<boolean> {
    const count = await trx('secret_grants')
      .where({ secret_id: String(secretId), user_profile_id: String(profileId) })
      .delete();
    return count > 0;
  }
}

function select(knex: Knex, secretId: bigint): Knex.QueryBuilder {
  return joinOwner(knex('secret_grants as g'), 'g.user_profile_id')
    .select(OWNER_COLUMNS)
    .select('g.expires_at', 'g.granted_by', 'g.created_at')
    .where('g.secret_id', String(secretId));
}

function grantFromRow(row: GrantRow): SecretGrant {
  return {
    grantee: ownerFromRow(row),
    expiresAt: row.expires_at,
    grantedBy: row.granted_by,
    createdAt: row.created_at,
  };
}
