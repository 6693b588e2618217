import type { Knex } from 'knex';
import type { Caller } from '../authz/caller.js';
import { readBesideRights, type BesideRights, type ReadBesideRights } from '../authz/caller-rows.js';
import {
  findOwner,
  joinOwner,
  OWNER_COLUMNS,
  ownerFromRow,
  selectOwner,
  type OwnerRow,
} from '../authz/owner-rows.js';
import { MEANT_BY_CALLER, type Condition } from '../authz/reader-rows.js';
import type { UserProfileRef, UserRef } from '../authz/refs.js';
import type { CallerRights } from '../authz/rights.js';
import { fromColumns, NOW, toColumns } from '../db/field-columns.js';
import { largePage } from '../db/large-list.js';
import {
  consumersFromJson,
  consumersOf,
  TOKEN_REFERENCES,
  type ConsumersJson,
} from '../db/reference-repository.js';
import { prepare, type Prepared } from '../db/prepared.js';
import { namesAreUnique } from '../db/pg-errors.js';
import { inTransaction, reading } from '../db/transaction.js';
import { formatPgTimestamp, type Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import type { Consumers } from '../lib/references.js';
import { ISSUER_COLUMNS } from './token-columns.js';
import { listOfTokens } from './token-list.js';
import { namedToken, type TokenRef } from './token-ref.js';
import { digestBytes, digestFromBytes, type Digest } from '../crypto/digest.js';
import {
  prefixOf,
  TOKEN_FIELDS,
  type Issuer,
  type NewPlaintext,
  type Token,
  type TokenChange,
  type TokenOwner,
  type TokenSettings,
} from './token.js';

interface TokenRow extends OwnerRow {
  id: bigint;
  key_id: string;
  last_used_at: Instant | null;
  created_at: Instant | null;
  updated_at: Instant | null;
  row_version: bigint;
  digest: Buffer;
  token_key: string;
  grace_ends_at: Instant | null;
  issued_by_user_id: bigint | null;
  issued_by_username: string | null;
  issued_by_key_id: string | null;
}

interface StoredTokenRow extends TokenRow {
  consumers: ConsumersJson;
  digests: Buffer[];
}

/** StoredToken is a token with who holds it, and all its digests, retired ones included. */
export interface StoredToken {
  readonly token: Token;
  readonly consumers: Consumers;
  readonly digests: readonly Digest[];
}

/** Retired digests of a token that are kept, so that they are EXPIRED and not UNKNOWN. Older ones go. */
const MAX_RETIRED_DIGESTS = 10;
/** Past by every clock, and still in the order in which digests were retired. */
const LONG_AGO = "(clock_timestamp() - interval '1000 years')";
const ISSUER_FIELDS = Object.keys(ISSUER_COLUMNS).map((column) => `d.${column}`);

const LOCK_OWNED = `
  SELECT t.id FROM tokens t JOIN user_profiles p ON p.id = t.user_profile_id JOIN users u ON u.id = p.user_id
  WHERE t.id = $1 AND p.id = $2 FOR SHARE OF u FOR SHARE OF p FOR UPDATE OF t`;

/** TokenRepository is every SQL statement about tokens. What writes needs a transaction. */
export class TokenRepository {
  readonly #knex: Knex;
  readonly #readFor: ReadBesideRights<StoredTokenRow>;
  readonly #readStored: Prepared<StoredTokenRow>;
  readonly #lockOwned: Prepared<unknown>;

  constructor(knex: Knex) {
    this.#knex = knex;
    this.#readFor = readBesideRights(knex, 'token-get', this.#selectStored(knex));
    this.#readStored = prepare(
      knex,
      'token-stored',
      this.#selectStored(knex).whereRaw('t.id = $1').toQuery(),
    );
    this.#lockOwned = prepare(knex, 'token-lock', LOCK_OWNED);
  }

  /**
   * readFor reads what a reference names, and who holds it, with the rights of a caller in one statement. In a transaction
   * a name in a whole account names only what the caller means by it.
   */
  async readFor(caller: Caller, ref: TokenRef, trx?: Knex.Transaction): Promise<BesideRights<StoredToken>> {
    const { sql, bindings } = namedToken(ref);
    const isMeant = trx !== undefined && ref.by === 'account' ? ` AND ${MEANT_BY_CALLER}` : '';
    const { callerRights, found } = await this.#readFor(caller, { sql: sql + isMeant, bindings }, trx);
    return { callerRights, found: found.map(storedFromRow) };
  }

  /** find returns the tokens that a reference names: at most one, but for a name in a whole account, if it is meant. */
  async find(ref: TokenRef, trx: Knex = this.#knex, meant?: Condition): Promise<Token[]> {
    const { sql, bindings } = namedToken(ref);
    const query = this.#select(trx).whereRaw(sql, bindings).orderBy('t.id').limit(100);
    if (ref.by === 'account' && meant !== undefined) void query.whereRaw(meant.sql, meant.bindings);
    const rows = (await query) as TokenRow[];
    return rows.map(tokenFromRow);
  }

  /** findAll returns those of the tokens that there are. */
  async findAll(ids: readonly bigint[]): Promise<Token[]> {
    if (ids.length === 0) return [];
    const query = this.#select(this.#knex).whereRaw('t.id = ANY (?::bigint[])', [ids.map(String)]);
    const rows = (await query) as TokenRow[];
    return rows.map(tokenFromRow);
  }

  /**
   * lockOwned does as lock and findOwner in one statement, the user first, and gives false where the token has gone or has
   * another owner than it was found with.
   */
  async lockOwned(trx: Knex.Transaction, { id, owner }: Token): Promise<boolean> {
    return (await this.#lockOwned([String(id), String(owner.profileId)], trx)).length > 0;
  }

  /** stored reads all of a token that is locked. */
  async stored(trx: Knex.Transaction, id: bigint): Promise<StoredToken> {
    const [row] = await this.#readStored([String(id)], trx);
    if (row === undefined) throw new Error('a token locked in this transaction is gone');
    return storedFromRow(row);
  }

  /** lock makes other writers of this token wait until the transaction ends. */
  async lock(trx: Knex.Transaction, id: bigint): Promise<Token | undefined> {
    await trx('tokens')
      .select('id')
      .where({ id: String(id) })
      .forUpdate();
    const [token] = await this.find({ by: 'id', id }, trx);
    return token;
  }

  /** list lists what the caller may read; by who issued it, what the caller manages. */
  async list(callerRights: CallerRights, page: PageQuery): Promise<Page<Token>> {
    const list = listOfTokens(this.#knex, callerRights, page, () => this.#select(this.#knex));
    return largePage<Token>(this.#knex, { ...list, fromRow: tokenFromRow }, page);
  }

  /** findOwner returns the user profile, and keeps it and its user from changing until the transaction ends. */
  findOwner(trx: Knex.Transaction, ref: UserProfileRef): Promise<TokenOwner | undefined> {
    return findOwner(trx, ref);
  }

  /** profilesOf lists a user's profiles. */
  async profilesOf(trx: Knex.Transaction, ref: UserRef): Promise<TokenOwner[]> {
    const query = selectOwner(trx).orderBy('p.id');
    const rows = (await (ref.by === 'id'
      ? query.where('u.id', String(ref.id))
      : query.where('u.username', ref.username))) as OwnerRow[];
    return rows.map(ownerFromRow);
  }

  /** owners lists those of the user profiles that there are. */
  async owners(trx: Knex.Transaction, profileIds: readonly bigint[]): Promise<TokenOwner[]> {
    const query = selectOwner(trx).whereRaw('p.id = ANY (?::bigint[])', [profileIds.map(String)]);
    return ((await query.orderBy('p.id')) as OwnerRow[]).map(ownerFromRow);
  }

  /** insert makes a token; `issuer` is who gets its plaintext, null for an operator. */
  async insert(
    trx: Knex.Transaction,
    keyId: string,
    owner: TokenOwner,
    settings: TokenSettings,
    secret: NewPlaintext,
    issuer: Issuer | null,
  ): Promise<Token> {
    const [row] = await unique<{ id: bigint }[]>(() =>
      trx('tokens')
        .insert({
          key_id: keyId,
          user_profile_id: String(owner.profileId),
          ...toColumns(TOKEN_FIELDS, settings),
          created_at: trx.raw(NOW),
          updated_at: trx.raw(NOW),
        })
        .returning('id'),
    );
    if (row === undefined) throw new Error('INSERT ... RETURNING gave no row');
    await this.#insertDigest(trx, row.id, secret, issuer);
    return this.#stored(trx, row.id);
  }

  async update(trx: Knex.Transaction, id: bigint, change: TokenChange): Promise<Token> {
    return this.#change(trx, id, toColumns(TOKEN_FIELDS, change));
  }

  async rename(trx: Knex.Transaction, id: bigint, name: string): Promise<Token> {
    return unique(() => this.#change(trx, id, { name }));
  }

  /** setActive switches a token that is locked on or off. */
  async setActive(trx: Knex.Transaction, token: Token, isActive: boolean): Promise<Token> {
    const [row] = await trx('tokens')
      .where({ id: String(token.id) })
      .update({ is_active: isActive, updated_at: trx.raw(NOW) })
      .returning<Pick<TokenRow, 'updated_at' | 'row_version'>[]>(['updated_at', 'row_version']);
    if (row === undefined) throw new Error('a token locked in this transaction is gone');
    return { ...token, isActive, updatedAt: row.updated_at, rowVersion: row.row_version };
  }

  /** move gives a token to another owner; `issuer` is who counts as having been given all its plaintexts, if that changes. */
  async move(
    trx: Knex.Transaction,
    id: bigint,
    profileId: bigint,
    issuer: Issuer | undefined,
  ): Promise<Token> {
    if (issuer !== undefined) {
      await trx('token_digests')
        .where({ token_id: String(id) })
        .update(issuerColumns(issuer));
    }
    return unique(() => this.#change(trx, id, { user_profile_id: String(profileId) }));
  }

  /** replaceDigest retires the current digest at a time, null for at once, and makes another the current one. */
  async replaceDigest(
    trx: Knex.Transaction,
    id: bigint,
    secret: NewPlaintext,
    retiresAt: Instant | null,
    issuer: Issuer | null,
  ): Promise<Token> {
    const at = retiresAt === null ? trx.raw(LONG_AGO) : formatPgTimestamp(retiresAt);
    await trx('token_digests')
      .where({ token_id: String(id) })
      .update({ retires_at: trx.raw("least(coalesce(retires_at, 'infinity'), ?::timestamptz)", [at]) });
    await this.#insertDigest(trx, id, secret, issuer);
    await trx.raw(
      `DELETE FROM token_digests WHERE digest IN (
         SELECT digest FROM token_digests WHERE token_id = ? AND retires_at IS NOT NULL
         ORDER BY retires_at DESC OFFSET ?)`,
      [String(id), MAX_RETIRED_DIGESTS],
    );
    return this.#change(trx, id, {});
  }

  async delete(trx: Knex.Transaction, id: bigint): Promise<void> {
    await trx('tokens')
      .where({ id: String(id) })
      .delete();
  }

  /**
   * deleteSome deletes up to `limit` tokens of a user profile, in the order of their names, and gives their numbers. With
   * `after` it begins behind that name: entries of an index stay for a while after their rows. With `skipLocked` it
   * leaves those that another transaction holds.
   */
  async deleteSome(
    trx: Knex.Transaction,
    profileId: bigint,
    after: string | undefined,
    limit: number,
    skipLocked: boolean,
  ): Promise<{ readonly ids: readonly bigint[]; readonly last: string | undefined }> {
    const { rows } = await trx.raw<{ rows: { id: bigint; name: string }[] }>(
      `WITH picked AS MATERIALIZED (
         SELECT id, name FROM tokens WHERE user_profile_id = ? ${after === undefined ? '' : 'AND name > ?'}
         ORDER BY name LIMIT ? FOR UPDATE ${skipLocked ? 'SKIP LOCKED' : ''}
       ), deleted AS (DELETE FROM tokens WHERE id = ANY (ARRAY(SELECT id FROM picked)))
       SELECT id, name FROM picked ORDER BY name`,
      [String(profileId), ...(after === undefined ? [] : [after]), limit],
    );
    return { ids: rows.map(({ id }) => id), last: rows.at(-1)?.name };
  }

  /** recordUse moves last_used_at forward, never back, and touches nothing else. */
  async recordUse(uses: readonly { readonly tokenId: bigint; readonly usedAt: Instant }[]): Promise<void> {
    const sql = `UPDATE tokens SET last_used_at = greatest(last_used_at, used.at)
      FROM unnest(?::bigint[], ?::timestamptz[]) AS used (id, at) WHERE tokens.id = used.id`;
    const times = uses.map(({ usedAt }) => formatPgTimestamp(usedAt));
    // In a transaction, whose limits the server keeps: rows may be locked.
    await inTransaction(this.#knex, (trx) =>
      trx.raw(sql, [uses.map(({ tokenId }) => String(tokenId)), times]),
    );
  }

  /** idsOfKeys gives the tokens of those keys that there are. */
  async idsOfKeys(keyIds: readonly string[]): Promise<ReadonlyMap<string, bigint>> {
    const { rows } = await reading(() =>
      this.#knex.raw<{ rows: { id: bigint; key_id: string }[] }>(
        'SELECT id, key_id FROM tokens WHERE key_id = ANY (?::uuid[])',
        [[...keyIds]],
      ),
    );
    return new Map(rows.map(({ id, key_id: keyId }) => [keyId, id]));
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
      .select('t.*', 'd.digest', 'd.token_key', ...ISSUER_FIELDS, ...OWNER_COLUMNS, grace);
  }

  #selectStored(trx: Knex): Knex.QueryBuilder {
    return this.#select(trx).select(
      trx.raw(`${consumersOf(TOKEN_REFERENCES, 't.id')} AS consumers`),
      trx.raw('ARRAY(SELECT digest FROM token_digests WHERE token_id = t.id) AS digests'),
    );
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

  async #insertDigest(
    trx: Knex.Transaction,
    tokenId: bigint,
    secret: NewPlaintext,
    issuer: Issuer | null,
  ): Promise<void> {
    await trx('token_digests').insert({
      digest: digestBytes(secret.digest),
      token_id: String(tokenId),
      token_key: secret.tokenKey,
      ...issuerColumns(issuer),
    });
  }
}

/** unique runs a statement that writes a name. */
function unique<T>(statement: () => PromiseLike<T>): Promise<T> {
  return namesAreUnique('token', 'tokens_user_profile_id_name_key', statement);
}

function tokenFromRow(row: TokenRow): Token {
  const settings = fromColumns(TOKEN_FIELDS, row);
  return {
    id: row.id,
    keyId: row.key_id,
    ...settings,
    prefix: settings.prefix === '' ? prefixOf(row.token_key) : settings.prefix,
    owner: ownerFromRow(row),
    lastUsedAt: row.last_used_at,
    digest: digestFromBytes(row.digest),
    tokenKey: row.token_key,
    graceEndsAt: row.grace_ends_at,
    issuedBy: issuerFromRow(row),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    rowVersion: row.row_version,
  };
}

function storedFromRow(row: StoredTokenRow): StoredToken {
  return {
    token: tokenFromRow(row),
    consumers: consumersFromJson(row.id, row.consumers),
    digests: row.digests.map(digestFromBytes),
  };
}

function issuerColumns(issuer: Issuer | null): Record<string, string | null> {
  return {
    issued_by_user_id: issuer && String(issuer.userId),
    issued_by_username: issuer && issuer.username,
    issued_by_key_id: issuer?.keyId ?? null,
  };
}

function issuerFromRow(row: TokenRow): Issuer | null {
  const { issued_by_user_id: userId, issued_by_username: username, issued_by_key_id: keyId } = row;
  return userId === null || username === null ? null : { userId, username, keyId: keyId ?? undefined };
}
