import type { Knex } from 'knex';
import { listPage } from '../db/list-query.js';
import type { Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import { USER_COLUMNS } from './account-columns.js';
import type { User, UserChange, UserSettings } from './account.js';
import type { UserRef } from '../authz/refs.js';

interface UserRow {
  id: bigint;
  username: string;
  email: string;
  first_name: string;
  last_name: string;
  is_active: boolean;
  is_staff: boolean;
  is_superuser: boolean;
  created_at: Instant | null;
  updated_at: Instant | null;
  row_version: bigint;
}

const NOW = 'statement_timestamp()';

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
        ...changeColumns(settings),
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
      .update({ ...changeColumns(change), updated_at: trx.raw(NOW) })
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

function changeColumns(change: UserChange): Record<string, unknown> {
  return {
    email: change.email,
    first_name: change.firstName,
    last_name: change.lastName,
    is_active: change.isActive,
    is_staff: change.isStaff,
    is_superuser: change.isSuperuser,
  };
}

function userFromRow(row: UserRow): User {
  return {
    id: row.id,
    username: row.username,
    email: row.email,
    firstName: row.first_name,
    lastName: row.last_name,
    isActive: row.is_active,
    isStaff: row.is_staff,
    isSuperuser: row.is_superuser,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    rowVersion: row.row_version,
  };
}
