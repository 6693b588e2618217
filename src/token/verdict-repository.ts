import type { Knex } from 'knex';
import { joinOwner, OWNER_COLUMNS, ownerFromRow, type OwnerRow } from '../authz/owner-rows.js';
import { prepare } from '../db/prepared.js';
import type { Instant } from '../lib/instant.js';
import { digestBytes, digestFromBytes, type Digest } from '../crypto/digest.js';
import type { VerdictFacts } from './verdict.js';

interface FactsRow extends OwnerRow {
  digest: Buffer;
  token_id: bigint;
  key_id: string;
  name: string;
  is_active: boolean;
  expires_at: Instant | null;
  created_at: Instant;
  scopes: string[];
  user_is_active: boolean;
  account_is_active: boolean;
}

/** VerdictRepository reads what verdicts depend on. */
export class VerdictRepository {
  readonly #fetchOne: (values: unknown[]) => Promise<FactsRow[]>;
  readonly #fetchMany: (values: unknown[]) => Promise<FactsRow[]>;

  constructor(knex: Knex) {
    this.#fetchOne = prepare<FactsRow>(knex, 'verdict-one', verdictSql(knex, 'd.digest = ?'));
    this.#fetchMany = prepare<FactsRow>(
      knex,
      'verdict-many',
      verdictSql(knex, 'd.digest = ANY (?::bytea[])'),
    );
  }

  /** fetch reads what verdicts depend on, for one digest or many, in one prepared statement. */
  async fetch(digests: readonly Digest[]): Promise<Map<Digest, VerdictFacts>> {
    const [only, ...others] = digests;
    if (only === undefined) return new Map();
    const rows =
      others.length === 0
        ? await this.#fetchOne([digestBytes(only)])
        : await this.#fetchMany([digests.map(digestBytes)]);
    return new Map(rows.map((row) => [digestFromBytes(row.digest), factsFromRow(row)]));
  }
}

function verdictSql(knex: Knex, condition: string): string {
  return joinOwner(knex('token_digests as d').join('tokens as t', 't.id', 'd.token_id'), 't.user_profile_id')
    .select(
      'd.digest',
      't.id as token_id',
      't.key_id',
      't.name',
      't.is_active',
      't.created_at',
      't.scopes',
      ...OWNER_COLUMNS,
    )
    .select('u.is_active as user_is_active', 'a.is_active as account_is_active')
    .select(knex.raw('least(t.expires_at, d.retires_at) as expires_at'))
    .whereRaw(condition, [knex.raw('$1')])
    .toQuery();
}

function factsFromRow(row: FactsRow): VerdictFacts {
  return {
    digest: digestFromBytes(row.digest),
    tokenId: row.token_id,
    keyId: row.key_id,
    name: row.name,
    isActive: row.is_active,
    expiresAt: row.expires_at,
    createdAt: row.created_at,
    scopes: row.scopes,
    owner: { ...ownerFromRow(row), userIsActive: row.user_is_active, accountIsActive: row.account_is_active },
  };
}
