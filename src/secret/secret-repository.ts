import type { Knex } from 'knex';
import type { Caller } from '../authz/caller.js';
import { readBesideRights, type BesideRights, type ReadBesideRights } from '../authz/caller-rows.js';
import { joinOwner, namedOwner, OWNER_COLUMNS, ownerFromRow, type OwnerRow } from '../authz/owner-rows.js';
import type { Owner } from '../authz/owner.js';
import { mayReadProfile, ownedReadably, type Condition } from '../authz/reader-rows.js';
import { readable, type CallerRights } from '../authz/rights.js';
import { fromColumns, NOW, toColumns } from '../db/field-columns.js';
import { largePage, MOST_LOOKED_AT, ownedBy } from '../db/large-list.js';
import { namesAreUnique } from '../db/pg-errors.js';
import { alreadyExists } from '../lib/errors.js';
import { formatPgTimestamp, type Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import { foldName } from '../lib/text.js';
import { ENABLED_VERSION, INDEXED_FIELDS, LATEST_VERSION, SECRET_COLUMNS } from './secret-columns.js';
import type { SecretRef } from './secret-ref.js';
import { SECRET_FIELDS, type Secret, type SecretChange, type SecretSettings } from './secret.js';
import { NAME_LOCK } from '../db/advisory-locks.js';

interface SecretRow extends OwnerRow {
  id: bigint;
  last_accessed_at: Instant | null;
  latest_version: number;
  enabled_version: number | null;
  created_at: Instant | null;
  updated_at: Instant | null;
  deleted_at: Instant | null;
  purge_at: Instant | null;
  row_version: bigint;
}

interface ReadSecretRow extends SecretRow {
  grant_ends_at: Instant | null;
}

/** ReadSecret is a secret, and when the last of the grants to the caller's profiles ends or ended; null if there never was one. */
export interface ReadSecret {
  readonly secret: Secret;
  readonly grantEndsAt: Instant | null;
}

/** Of the caller c. */
const GRANT_ENDS_AT = `(SELECT max(coalesce(g.expires_at, 'infinity')) FROM secret_grants g
  WHERE g.secret_id = s.id AND g.user_profile_id = ANY (c.caller_profile_ids))`;

/** SecretRepository is every SQL statement about secrets themselves. What writes needs a transaction. */
export class SecretRepository {
  readonly #knex: Knex;
  readonly #readFor: ReadBesideRights<ReadSecretRow>;

  constructor(knex: Knex) {
    this.#knex = knex;
    const read = select(knex).select(knex.raw(`${GRANT_ENDS_AT} AS grant_ends_at`));
    this.#readFor = readBesideRights(knex, 'secret-get', read);
  }

  /** readFor reads what find does, with the rights of a caller, in one prepared statement. */
  async readFor(caller: Caller, ref: SecretRef): Promise<BesideRights<ReadSecret>> {
    const { callerRights, found } = await this.#readFor(caller, named(ref));
    return {
      callerRights,
      found: found.map((row) => ({ secret: secretFromRow(row), grantEndsAt: row.grant_ends_at })),
    };
  }

  /**
   * find returns the secrets that a reference names: at most one, but for a name in a whole account. By its id it
   * finds a deleted one too. With `meant`, a name in a whole account names only what is meant by it.
   */
  async find(ref: SecretRef, trx: Knex, meant?: Condition): Promise<Secret[]> {
    const { sql, bindings } = named(ref);
    const query = select(trx).whereRaw(sql, bindings).orderBy('s.id');
    if (ref.by === 'account' && meant !== undefined) void query.whereRaw(meant.sql, meant.bindings);
    const rows = (await query) as SecretRow[];
    return rows.map(secretFromRow);
  }

  /** findAll returns those of the secrets that there are, deleted ones too. */
  async findAll(ids: readonly bigint[]): Promise<Secret[]> {
    if (ids.length === 0) return [];
    const query = select(this.#knex).whereRaw('s.id = ANY (?::bigint[])', [ids.map(String)]);
    const rows = (await query) as SecretRow[];
    return rows.map(secretFromRow);
  }

  /** findNamed returns the secrets that are meant by names in whole accounts, in the order of their ids. */
  async findNamed(
    refs: readonly { readonly accountNumber: string; readonly name: string }[],
    meant: Condition,
  ): Promise<Secret[]> {
    const rows = (await select(this.#knex)
      .whereRaw('(a.account_number, s.name) IN (SELECT * FROM unnest(?::text[], ?::text[]))', [
        refs.map(({ accountNumber }) => accountNumber),
        refs.map(({ name }) => name),
      ])
      .whereRaw(meant.sql, meant.bindings)
      .whereNull('s.deleted_at')
      .orderBy('s.id')) as SecretRow[];
    return rows.map(secretFromRow);
  }

  /** lock makes other writers of this secret, its versions, grants and references wait until the transaction ends. */
  async lock(trx: Knex.Transaction, id: bigint): Promise<Secret | undefined> {
    return this.#locked(
      trx,
      id,
      trx('secrets')
        .where({ id: String(id) })
        .forUpdate(),
    );
  }

  /** hold does the same, but lets others hold the secret too. */
  async hold(trx: Knex.Transaction, id: bigint): Promise<Secret | undefined> {
    return this.#locked(
      trx,
      id,
      trx('secrets')
        .where({ id: String(id) })
        .forShare(),
    );
  }

  /** list lists what the caller may read; of deleted secrets, what the caller manages. */
  async list(
    callerRights: CallerRights,
    now: Instant,
    showDeleted: boolean,
    page: PageQuery,
  ): Promise<Page<Secret>> {
    const visible = (query: Knex.QueryBuilder): Knex.QueryBuilder => {
      if (!showDeleted) void query.whereNull('s.deleted_at');
      return whereVisible(query, callerRights, now, showDeleted);
    };
    const owned = mayReadProfile(callerRights);
    const isSuperuser = readable(callerRights) === 'everything';
    const owners = (query: Knex.QueryBuilder): Knex.QueryBuilder => query.whereRaw(owned.sql, owned.bindings);
    const narrow = (): Knex.QueryBuilder => {
      const granted = this.#knex('secret_grants')
        .select('secret_id as id')
        .whereRaw('user_profile_id = ANY (?::bigint[])', [profileIds(callerRights)]);
      const sets = [ownedBy(this.#knex, { table: 'secrets' }, owners), granted];
      return this.#knex.unionAll(
        sets.map((set) => set.limit(MOST_LOOKED_AT + 1)),
        true,
      );
    };
    return largePage<Secret>(
      this.#knex,
      {
        table: 'secrets',
        alias: 's',
        columns: SECRET_COLUMNS,
        indexed: INDEXED_FIELDS,
        select: () => visible(select(this.#knex)),
        visible,
        narrow: isSuperuser ? undefined : narrow(),
        owners: (query) => (isSuperuser ? query : whereOwnsReadable(query, callerRights, now)),
        fromRow: secretFromRow,
      },
      page,
    );
  }

  /**
   * reserveName refuses a name (ALREADY_EXISTS) that another secret of the owner has, or one that differs from it
   * by case or Unicode form alone, and keeps others from taking it until the transaction ends.
   */
  async reserveName(
    trx: Knex.Transaction,
    profileId: bigint,
    name: string,
    exceptId: bigint | null,
  ): Promise<void> {
    const key = foldName(name);
    const taken = { user_profile_id: String(profileId), name_key: key };
    await trx.raw('SELECT pg_advisory_xact_lock(?, hashtext(?))', [NAME_LOCK, `${String(profileId)} ${key}`]);
    const ids = (await trx('secrets').where(taken).whereNull('deleted_at').pluck('id')) as bigint[];
    if (ids.some((id) => id !== exceptId)) throw nameTaken();
  }

  /** insert makes a secret without a version. Its name must be reserved. */
  async insert(trx: Knex.Transaction, owner: Owner, settings: SecretSettings): Promise<bigint> {
    const [row] = await unique<{ id: bigint }[]>(() =>
      trx('secrets')
        .insert({
          user_profile_id: String(owner.profileId),
          ...toColumns(SECRET_FIELDS, settings),
          name_key: foldName(settings.name),
          created_at: trx.raw(NOW),
          updated_at: trx.raw(NOW),
        })
        .returning('id'),
    );
    if (row === undefined) throw new Error('INSERT ... RETURNING gave no row');
    return row.id;
  }

  /** update changes settings; without any it only marks the secret as changed. */
  async update(trx: Knex.Transaction, id: bigint, change: SecretChange): Promise<Secret> {
    return this.#change(trx, id, toColumns(SECRET_FIELDS, change));
  }

  /** rename gives a secret a name that must be reserved. */
  async rename(trx: Knex.Transaction, id: bigint, name: string): Promise<Secret> {
    return unique(() => this.#change(trx, id, nameColumns(name)));
  }

  /** move gives a secret to another owner, with whom its name must be reserved. */
  async move(trx: Knex.Transaction, id: bigint, profileId: bigint): Promise<Secret> {
    return unique(() => this.#change(trx, id, { user_profile_id: String(profileId) }));
  }

  /** setDeleted marks a secret as deleted, or as not deleted, for which its name must be reserved. */
  async setDeleted(
    trx: Knex.Transaction,
    id: bigint,
    deletion: { readonly deletedAt: Instant; readonly purgeAt: Instant } | null,
  ): Promise<Secret> {
    return unique(() =>
      this.#change(trx, id, {
        deleted_at: deletion && formatPgTimestamp(deletion.deletedAt),
        purge_at: deletion && formatPgTimestamp(deletion.purgeAt),
      }),
    );
  }

  /** lockDue locks up to `most` deleted secrets whose time has come, leaving out what others have locked. */
  async lockDue(trx: Knex.Transaction, now: Instant, most: number): Promise<Secret[]> {
    const due = await trx('secrets')
      .select<{ id: bigint }[]>('id')
      .where('purge_at', '<=', formatPgTimestamp(now))
      .orderBy('purge_at')
      .limit(most)
      .forUpdate()
      .skipLocked();
    const ids = due.map(({ id }) => id);
    const query = select(trx).whereRaw('s.id = ANY (?::bigint[])', [ids.map(String)]);
    const rows = (await query) as SecretRow[];
    return rows.map(secretFromRow);
  }

  /** remove deletes secrets for good, with their versions, grants and references. */
  async remove(trx: Knex.Transaction, ids: readonly bigint[]): Promise<void> {
    await trx('secrets')
      .whereRaw('id = ANY (?::bigint[])', [ids.map(String)])
      .delete();
  }

  async stored(trx: Knex.Transaction, id: bigint): Promise<Secret> {
    const [secret] = await this.find({ by: 'id', id }, trx);
    if (secret === undefined) throw new Error('a secret locked or made in this transaction is gone');
    return secret;
  }

  async #locked(trx: Knex.Transaction, id: bigint, locking: Knex.QueryBuilder): Promise<Secret | undefined> {
    await locking.select('id');
    // A statement of its own: what the lock waited for is not in the snapshot of the locking one.
    const [secret] = await this.find({ by: 'id', id }, trx);
    return secret;
  }

  async #change(trx: Knex.Transaction, id: bigint, columns: Record<string, unknown>): Promise<Secret> {
    await trx('secrets')
      .where({ id: String(id) })
      .update({ ...columns, updated_at: trx.raw(NOW) });
    return this.stored(trx, id);
  }
}

function select(trx: Knex): Knex.QueryBuilder {
  return joinOwner(trx('secrets as s'), 's.user_profile_id')
    .select('s.*', ...OWNER_COLUMNS)
    .select(trx.raw(`${LATEST_VERSION} as latest_version`), trx.raw(`${ENABLED_VERSION} as enabled_version`));
}

function named(ref: SecretRef): Condition {
  if (ref.by === 'id') return { sql: 's.id = ?', bindings: [String(ref.id)] };
  const among =
    ref.by === 'owner'
      ? namedOwner(ref.owner)
      : { sql: 'a.account_number = ?', bindings: [ref.accountNumber] };
  return {
    sql: `${among.sql} AND s.name = ? AND s.deleted_at IS NULL`,
    bindings: [...among.bindings, ref.name],
  };
}

/** GRANTED selects the secrets that are granted to profiles, at a time. */
const GRANTED = `SELECT g.secret_id FROM secret_grants g
  WHERE g.user_profile_id = ANY (?::bigint[]) AND (g.expires_at IS NULL OR g.expires_at >= ?::timestamptz)`;

/** whereOwnsReadable leaves user profiles that may own a secret which the caller may read. */
function whereOwnsReadable(
  query: Knex.QueryBuilder,
  callerRights: CallerRights,
  now: Instant,
): Knex.QueryBuilder {
  const { sql, bindings } = mayReadProfile(callerRights);
  return query.whereRaw(
    `(${sql} OR p.id = ANY (ARRAY(SELECT user_profile_id FROM secrets WHERE deleted_at IS NULL AND id = ANY (ARRAY(${GRANTED})))))`,
    [...bindings, profileIds(callerRights), formatPgTimestamp(now)],
  );
}

/** whereVisible leaves live secrets that the caller may read, and with `showDeleted` deleted ones that the caller manages. */
function whereVisible(
  query: Knex.QueryBuilder,
  callerRights: CallerRights,
  now: Instant,
  showDeleted: boolean,
): Knex.QueryBuilder {
  const seen = readable(callerRights);
  if (seen === 'everything') return query;
  if (seen === 'nothing') return query.whereRaw('false');
  const owned = ownedReadably(callerRights, 's.user_profile_id');
  const granted = `s.id = ANY (ARRAY(${GRANTED}))`;
  return query.where((either) => {
    void either.whereRaw(`(s.deleted_at IS NULL AND (${owned.sql} OR ${granted}))`, [
      ...owned.bindings,
      profileIds(callerRights),
      formatPgTimestamp(now),
    ]);
    if (!showDeleted) return;
    const { accountIds, profileIds: own } = seen.managed;
    void either.orWhereRaw(
      `s.user_profile_id = ANY (?::bigint[] || ARRAY(SELECT p.id FROM user_profiles p WHERE p.account_id = ANY (?::bigint[])))`,
      [own.map(String), accountIds.map(String)],
    );
  });
}

function profileIds({ profiles }: CallerRights): string[] {
  return profiles.map(({ id }) => String(id));
}

function nameColumns(name: string): Record<string, unknown> {
  return { name, name_key: foldName(name) };
}

/** unique runs a statement that writes a name. */
function unique<T>(statement: () => PromiseLike<T>): Promise<T> {
  return namesAreUnique('secret', 'secrets_user_profile_id_name_key', statement);
}

function nameTaken(): Error {
  return alreadyExists('secret', 'name');
}

function secretFromRow(row: SecretRow): Secret {
  return {
    id: row.id,
    ...fromColumns(SECRET_FIELDS, row),
    owner: ownerFromRow(row),
    lastAccessedAt: row.last_accessed_at,
    latestVersion: row.latest_version,
    enabledVersion: row.enabled_version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    deletedAt: row.deleted_at,
    purgeAt: row.purge_at,
    rowVersion: row.row_version,
  };
}
