import type { Knex } from 'knex';
import type { UserProfileRef, UserRef } from '../account/refs.js';
import { PLATFORM_ACCOUNT_NUMBER, type Readable } from '../account/rights.js';
import { listPage, type ListColumns } from '../db/list-query.js';
import { violatedUnique } from '../db/pg-errors.js';
import { prepare } from '../db/prepared.js';
import { alreadyExists } from '../lib/errors.js';
import { formatPgTimestamp, type Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import {
  digestBytes,
  digestFromBytes,
  type Digest,
  type NewPlaintext,
  type Token,
  type TokenChange,
  type TokenOwner,
  type TokenSettings,
} from './token.js';
import type { VerdictFacts } from './verdict.js';

/** TokenRef names tokens, as `keyward.token.v1.TokenSelector` does. */
export type TokenRef =
  | { readonly by: 'id'; readonly id: bigint }
  | { readonly by: 'key_id'; readonly keyId: string }
  | { readonly by: 'owner'; readonly owner: UserProfileRef; readonly name: string }
  | { readonly by: 'account'; readonly accountNumber: string; readonly name: string };

/** Which fields ListTokens can filter and order by, and where they are. */
export const TOKEN_COLUMNS: ListColumns = {
  filter: {
    name: { type: 'text', sql: 't.name' },
    key_id: { type: 'uuid', sql: 't.key_id' },
    username: { type: 'text', sql: 'u.username' },
    account_number: { type: 'text', sql: 'a.account_number' },
    user_profile_id: { type: 'integer', sql: 't.user_profile_id' },
    is_active: { type: 'boolean', sql: 't.is_active' },
    tag: { type: 'tag', sql: 't.tags' },
    version: { type: 'text', sql: 't.version' },
    expires_at: { type: 'time', sql: 't.expires_at' },
    last_used_at: { type: 'time', sql: 't.last_used_at' },
    created_at: { type: 'time', sql: 't.created_at' },
    updated_at: { type: 'time', sql: 't.updated_at' },
  },
  order: {
    id: { type: 'integer', sql: 't.id' },
    name: { type: 'text', sql: 't.name' },
    username: { type: 'text', sql: 'u.username' },
    account_number: { type: 'text', sql: 'a.account_number' },
    expires_at: { type: 'time', sql: "coalesce(t.expires_at, 'infinity')" },
    last_used_at: { type: 'time', sql: "coalesce(t.last_used_at, '-infinity')" },
    created_at: { type: 'time', sql: "coalesce(t.created_at, '-infinity')" },
    updated_at: { type: 'time', sql: "coalesce(t.updated_at, '-infinity')" },
  },
};

interface OwnerRow {
  profile_id: bigint;
  user_id: bigint;
  username: string;
  is_staff: boolean;
  is_superuser: boolean;
  account_id: bigint;
  account_number: string;
}

interface TokenRow extends OwnerRow {
  id: bigint;
  key_id: string;
  name: string;
  description: string;
  version: string;
  tags: string[];
  annotations: Record<string, string>;
  manifest_path: string;
  prefix: string;
  scopes: string[];
  is_active: boolean;
  expires_at: Instant | null;
  last_used_at: Instant | null;
  created_at: Instant | null;
  updated_at: Instant | null;
  row_version: bigint;
  digest: Buffer;
  token_key: string;
  grace_ends_at: Instant | null;
}

interface FactsRow extends OwnerRow {
  digest: Buffer;
  token_id: bigint;
  key_id: string;
  name: string;
  is_active: boolean;
  expires_at: Instant | null;
  scopes: string[];
  user_is_active: boolean;
  account_is_active: boolean;
}

/** Retired digests of a token that are kept, so that they are EXPIRED and not UNKNOWN. Older ones go. */
const MOST_RETIRED_DIGESTS = 10;
const NOW = 'clock_timestamp()';

const OWNER_COLUMNS = [
  'p.id as profile_id',
  'u.id as user_id',
  'u.username',
  'u.is_staff',
  'u.is_superuser',
  'a.id as account_id',
  'a.account_number',
];

/** TokenRepository is every SQL statement about tokens. What writes needs a transaction. */
export class TokenRepository {
  readonly #knex: Knex;
  readonly #fetchOne: (values: unknown[]) => Promise<FactsRow[]>;
  readonly #fetchMany: (values: unknown[]) => Promise<FactsRow[]>;

  constructor(knex: Knex) {
    this.#knex = knex;
    this.#fetchOne = prepare<FactsRow>(knex, 'verdict-one', verdictSql(knex, 'd.digest = ?'));
    this.#fetchMany = prepare<FactsRow>(knex, 'verdict-many', verdictSql(knex, 'd.digest = ANY (?::bytea[])'));
  }

  /** fetchFacts reads what verdicts depend on, for one digest or many, in one prepared statement. */
  async fetchFacts(digests: readonly Digest[]): Promise<Map<Digest, VerdictFacts>> {
    const [only, ...others] = digests;
    if (only === undefined) return new Map();
    const rows =
      others.length === 0
        ? await this.#fetchOne([digestBytes(only)])
        : await this.#fetchMany([digests.map(digestBytes)]);
    return new Map(rows.map((row) => [digestFromBytes(row.digest), factsFromRow(row)]));
  }

  /** find returns the tokens that a reference names: at most one, but for a name in a whole account. */
  async find(ref: TokenRef, trx: Knex = this.#knex): Promise<Token[]> {
    const query = this.#select(trx);
    switch (ref.by) {
      case 'id':
        void query.where('t.id', String(ref.id));
        break;
      case 'key_id':
        void query.where('t.key_id', ref.keyId);
        break;
      case 'owner':
        void whereProfile(query, ref.owner).where('t.name', ref.name);
        break;
      case 'account':
        void query.where('a.account_number', ref.accountNumber).where('t.name', ref.name).orderBy('t.id').limit(100);
        break;
    }
    const rows = (await query) as TokenRow[];
    return rows.map(tokenFromRow);
  }

  /** lock makes other writers of this token wait until the transaction ends. */
  async lock(trx: Knex.Transaction, id: bigint): Promise<Token | undefined> {
    await trx('tokens').select('id').where({ id: String(id) }).forUpdate();
    const [token] = await this.find({ by: 'id', id }, trx);
    return token;
  }

  async list(readable: Readable, page: PageQuery): Promise<Page<Token>> {
    const query = this.#select(this.#knex);
    if (readable === 'nothing') void query.whereRaw('false');
    else if (readable !== 'everything') {
      const accountIds = readable.accountIds.map(String);
      void query.whereRaw('(p.account_id = ANY (?::bigint[]) OR a.account_number = ?)', [
        accountIds,
        PLATFORM_ACCOUNT_NUMBER,
      ]);
    }
    return listPage<TokenRow, Token>(query, TOKEN_COLUMNS, page, tokenFromRow);
  }

  /** findOwner returns the user profile, and keeps the user's rights from changing until the transaction ends. */
  async findOwner(trx: Knex.Transaction, ref: UserProfileRef): Promise<TokenOwner | undefined> {
    const query = selectOwner(trx).forShare('u');
    const [row] = (await whereProfile(query, ref)) as OwnerRow[];
    return row === undefined ? undefined : ownerFromRow(row);
  }

  /** profilesOf lists a user's profiles. */
  async profilesOf(trx: Knex.Transaction, ref: UserRef): Promise<TokenOwner[]> {
    const query = selectOwner(trx).orderBy('p.id');
    const rows = (await (ref.by === 'id'
      ? query.where('u.id', String(ref.id))
      : query.where('u.username', ref.username))) as OwnerRow[];
    return rows.map(ownerFromRow);
  }

  async insert(
    trx: Knex.Transaction,
    keyId: string,
    owner: TokenOwner,
    settings: TokenSettings,
    secret: NewPlaintext,
  ): Promise<Token> {
    const [row] = (await namesAreUnique(() =>
      trx('tokens')
        .insert({
          key_id: keyId,
          user_profile_id: String(owner.profileId),
          name: settings.name,
          prefix: settings.prefix,
          is_active: settings.isActive,
          ...changeColumns(settings),
          created_at: trx.raw(NOW),
          updated_at: trx.raw(NOW),
        })
        .returning('id'),
    )) as { id: bigint }[];
    if (row === undefined) throw new Error('INSERT ... RETURNING gave no row');
    await this.#insertDigest(trx, row.id, secret);
    return this.#stored(trx, row.id);
  }

  async update(trx: Knex.Transaction, id: bigint, change: TokenChange): Promise<Token> {
    return this.#change(trx, id, changeColumns(change));
  }

  async rename(trx: Knex.Transaction, id: bigint, name: string): Promise<Token> {
    return namesAreUnique(() => this.#change(trx, id, { name }));
  }

  async setActive(trx: Knex.Transaction, id: bigint, isActive: boolean): Promise<Token> {
    return this.#change(trx, id, { is_active: isActive });
  }

  /** replaceDigest retires the current digest at a time, null for at once, and makes another the current one. */
  async replaceDigest(
    trx: Knex.Transaction,
    id: bigint,
    secret: NewPlaintext,
    retiresAt: Instant | null,
  ): Promise<Token> {
    const at = retiresAt === null ? '-infinity' : formatPgTimestamp(retiresAt);
    await trx('token_digests')
      .where({ token_id: String(id) })
      .update({ retires_at: trx.raw("least(coalesce(retires_at, 'infinity'), ?::timestamptz)", [at]) });
    await this.#insertDigest(trx, id, secret);
    await trx.raw(
      `DELETE FROM token_digests WHERE digest IN (
         SELECT digest FROM token_digests WHERE token_id = ? AND retires_at IS NOT NULL
         ORDER BY retires_at DESC OFFSET ?)`,
      [String(id), MOST_RETIRED_DIGESTS],
    );
    return this.#change(trx, id, {});
  }

  async delete(trx: Knex.Transaction, id: bigint): Promise<void> {
    await trx('tokens').where({ id: String(id) }).delete();
  }

  /** deleteOf deletes all tokens of user profiles, and returns their digests and how many tokens they were. */
  async deleteOf(trx: Knex.Transaction, profileIds: readonly bigint[]): Promise<{ digests: Digest[]; count: number }> {
    const ids = (await trx('tokens')
      .whereIn('user_profile_id', profileIds.map(String))
      .orderBy('id')
      .forUpdate()
      .pluck('id')) as bigint[];
    const digests = await this.digestsOf(trx, ids);
    const count = await trx('tokens').whereIn('id', ids.map(String)).delete();
    return { digests, count };
  }

  /** digestsOf returns all digests of tokens, retired ones included. */
  async digestsOf(trx: Knex.Transaction, tokenIds: readonly bigint[]): Promise<Digest[]> {
    const digests = (await trx('token_digests')
      .whereRaw('token_id = ANY (?::bigint[])', [tokenIds.map(String)])
      .pluck('digest')) as Buffer[];
    return digests.map(digestFromBytes);
  }

  /** recordUse moves last_used_at forward, never back, and touches nothing else. */
  async recordUse(uses: readonly { readonly tokenId: bigint; readonly usedAt: Instant }[]): Promise<void> {
    await this.#knex.raw(
      `UPDATE tokens SET last_used_at = greatest(last_used_at, used.at)
       FROM unnest(?::bigint[], ?::timestamptz[]) AS used (id, at) WHERE tokens.id = used.id`,
      [uses.map(({ tokenId }) => String(tokenId)), uses.map(({ usedAt }) => formatPgTimestamp(usedAt))],
    );
  }

  #select(trx: Knex): Knex.QueryBuilder {
    const grace = trx('token_digests')
      .max('retires_at')
      .whereRaw('token_id = t.id AND retires_at > clock_timestamp()')
      .as('grace_ends_at');
    return joinOwner(trx('tokens as t'), 't.user_profile_id')
      .join('token_digests as d', (join) => {
        join.on('d.token_id', 't.id').andOnNull('d.retires_at');
      })
      .select('t.*', 'd.digest', 'd.token_key', ...OWNER_COLUMNS, grace);
  }

  async #stored(trx: Knex.Transaction, id: bigint): Promise<Token> {
    const [token] = await this.find({ by: 'id', id }, trx);
    if (token === undefined) throw new Error('a token locked or made in this transaction is gone');
    return token;
  }

  async #change(trx: Knex.Transaction, id: bigint, columns: Record<string, unknown>): Promise<Token> {
    await trx('tokens')
      .where({ id: String(id) })
      .update({ ...columns, updated_at: trx.raw(NOW) });
    return this.#stored(trx, id);
  }

  async #insertDigest(trx: Knex.Transaction, tokenId: bigint, secret: NewPlaintext): Promise<void> {
    await trx('token_digests').insert({
      digest: digestBytes(secret.digest),
      token_id: String(tokenId),
      token_key: secret.tokenKey,
    });
  }
}

function verdictSql(knex: Knex, condition: string): string {
  return joinOwner(knex('token_digests as d').join('tokens as t', 't.id', 'd.token_id'), 't.user_profile_id')
    .select('d.digest', 't.id as token_id', 't.key_id', 't.name', 't.is_active', 't.scopes', ...OWNER_COLUMNS)
    .select('u.is_active as user_is_active', 'a.is_active as account_is_active')
    .select(knex.raw('least(t.expires_at, d.retires_at) as expires_at'))
    .whereRaw(condition, [knex.raw('$1')])
    .toQuery();
}

function joinOwner(query: Knex.QueryBuilder, profileId: string): Knex.QueryBuilder {
  return query
    .join('user_profiles as p', 'p.id', profileId)
    .join('users as u', 'u.id', 'p.user_id')
    .join('accounts as a', 'a.id', 'p.account_id');
}

function selectOwner(trx: Knex): Knex.QueryBuilder {
  return trx('user_profiles as p')
    .join('users as u', 'u.id', 'p.user_id')
    .join('accounts as a', 'a.id', 'p.account_id')
    .select(OWNER_COLUMNS);
}

function whereProfile(query: Knex.QueryBuilder, ref: UserProfileRef): Knex.QueryBuilder {
  if (ref.by === 'id') return query.where('p.id', String(ref.id));
  return query.where('u.username', ref.username).where('a.account_number', ref.accountNumber);
}

async function namesAreUnique<T>(statement: () => PromiseLike<T>): Promise<T> {
  try {
    return await statement();
  } catch (error) {
    throw violatedUnique(error) === 'tokens_user_profile_id_name_key' ? alreadyExists('token', 'name') : error;
  }
}

function changeColumns(change: TokenChange): Record<string, unknown> {
  const { description, version, tags, annotations, manifestPath, scopes, expiresAt } = change;
  const columns: Record<string, unknown> = {
    description,
    version,
    tags,
    annotations: annotations && JSON.stringify(Object.fromEntries(annotations)),
    manifest_path: manifestPath,
    scopes,
    expires_at: expiresAt == null ? expiresAt : formatPgTimestamp(expiresAt),
  };
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined));
}

function ownerFromRow(row: OwnerRow): TokenOwner {
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

function tokenFromRow(row: TokenRow): Token {
  return {
    id: row.id,
    keyId: row.key_id,
    name: row.name,
    description: row.description,
    version: row.version,
    tags: row.tags,
    annotations: new Map(Object.entries(row.annotations)),
    manifestPath: row.manifest_path,
    owner: ownerFromRow(row),
    isActive: row.is_active,
    expiresAt: row.expires_at,
    scopes: row.scopes,
    lastUsedAt: row.last_used_at,
    prefix: row.prefix,
    digest: digestFromBytes(row.digest),
    tokenKey: row.token_key,
    graceEndsAt: row.grace_ends_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    rowVersion: row.row_version,
  };
}

function factsFromRow(row: FactsRow): VerdictFacts {
  return {
    digest: digestFromBytes(row.digest),
    tokenId: row.token_id,
    keyId: row.key_id,
    name: row.name,
    isActive: row.is_active,
    expiresAt: row.expires_at,
    scopes: row.scopes,
    owner: { ...ownerFromRow(row), userIsActive: row.user_is_active, accountIsActive: row.account_is_active },
  };
}
