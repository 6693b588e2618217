import type { Knex } from 'knex';
import { fromColumns, NOW, toColumns } from '../db/field-columns.js';
import { listPage } from '../db/list-query.js';
import type { Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import { USER_COLUMNS } from './account-columns.js';
import { USER_FIELDS, type User, type UserChange, type UserSettings } from './account.js';
import type { UserRef } from '../authz/refs.js';

interface UserRow {
  id: bigint;
  username: string;
  created_at: Instant | null;
  updated_at: Instant | null;
  row_version: bigint;
}

/** UserRepository is every SQL statement about users. What writes needs a transaction. */
export class UserRepository {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  async find(ref: UserRef, trx: Knex = this.#knex): Promise<User | undefined> {
    return one(whereUser(select(trx), ref));
  }

  /** lock makes other writers of this user, and of the user's profiles, wait until the transaction ends. */
  async lock(trx: Knex.Transaction, ref: UserRef): Promise<User | undefined> {
    return one(whereUser(select(trx), ref).forUpdate());
  }

  async list(page: PageQuery): Promise<Page<User>> {
    return listPage<User>(this.#knex, select(this.#knex), USER_COLUMNS, page, userFromRow);
  }

  /** insert returns undefined if the username is taken. */
  async insert(trx: Knex.Transaction, username: string, settings: UserSettings): Promise<User | undefined> {
    const [row] = (await trx('users')
      .insert({
        username,
        ...toColumns(USER_FIELDS, settings),
        created_at: trx.raw(NOW),
        updated_at: trx.raw(NOW),
      })
      .onConflict('username')
      .ignore()
      .returning('*')) as UserRow[];
    return row && userFromRow(row);
  }

  async update(trx: Knex.Transaction, id: bigint, change: UserChange): Promise<User> {
    const [row] = (await trx('users')
      .where({ id: String(id) })
      .update({ ...toColumns(USER_FIELDS, change), updated_at: trx.raw(NOW) })
      .returning('*')) as UserRow[];
    if (row === undefined) throw new Error('a user locked in this transaction is gone');
    return userFromRow(row);
  }

  async delete(trx: Knex.Transaction, id: bigint): Promise<void> {
    await trx('users')
      .where({ id: String(id) })
      .delete();
  }
}

function select(trx: Knex): Knex.QueryBuilder {
  return trx('users as u').select('u.*');
}

function whereUser(query: Knex.QueryBuilder, ref: UserRef): Knex.QueryBuilder {
  return ref.by === 'id' ? query.where('u.id', String(ref.id)) : query.where('u.username', ref.username);
}

async function one(query: Knex.QueryBuilder): Promise<User | undefined> {
  const [row] = (await query) as UserRow[];
  return row && userFromRow(row);
}

function userFromRow(row: UserRow): User {
  return {
    id: row.id,
    username: row.username,
    ...fromColumns(USER_FIELDS, row),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    rowVersion: row.row_version,
  };
}
