import type { Knex } from 'knex';
import { fromColumns, NOW, toColumns } from '../db/field-columns.js';
import { listPage } from '../db/list-query.js';
import type { Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import type { Caller } from '../authz/caller.js';
import { readBesideRights, type BesideRights, type ReadBesideRights } from '../authz/caller-rows.js';
import type { Condition } from '../authz/reader-rows.js';
import { ACCOUNT_COLUMNS } from './account-columns.js';
import { ACCOUNT_FIELDS, type Account, type AccountChange, type AccountSettings } from './account.js';
import type { AccountRef } from '../authz/refs.js';

interface AccountRow {
  id: bigint;
  account_number: string;
  created_at: Instant | null;
  updated_at: Instant | null;
  row_version: bigint;
}

/** AccountRepository is every SQL statement about accounts. What writes needs a transaction. */
export class AccountRepository {
  readonly #knex: Knex;
  readonly #readFor: ReadBesideRights<AccountRow>;

  constructor(knex: Knex) {
    this.#knex = knex;
    this.#readFor = readBesideRights(knex, 'account-get', select(knex));
  }

  /** readFor reads what find does, with the rights of a caller, in one prepared statement. */
  async readFor(caller: Caller, ref: AccountRef): Promise<BesideRights<Account>> {
    const { callerRights, found } = await this.#readFor(caller, named(ref));
    return { callerRights, found: found.map(accountFromRow) };
  }

  async find(ref: AccountRef, trx: Knex = this.#knex): Promise<Account | undefined> {
    return one(whereAccount(select(trx), ref));
  }

  /** lock makes other writers of this account, and of profiles in it, wait until the transaction ends. */
  async lock(trx: Knex.Transaction, ref: AccountRef): Promise<Account | undefined> {
    return one(whereAccount(select(trx), ref).forUpdate());
  }

  async list(page: PageQuery): Promise<Page<Account>> {
    return listPage<Account>(this.#knex, select(this.#knex), ACCOUNT_COLUMNS, page, accountFromRow);
  }

  /** insert returns undefined if the account number is taken. */
  async insert(
    trx: Knex.Transaction,
    accountNumber: string,
    settings: AccountSettings,
  ): Promise<Account | undefined> {
    const [row] = (await trx('accounts')
      .insert({
        account_number: accountNumber,
        ...toColumns(ACCOUNT_FIELDS, settings),
        created_at: trx.raw(NOW),
        updated_at: trx.raw(NOW),
      })
      .onConflict('account_number')
      .ignore()
      .returning('*')) as AccountRow[];
    return row && accountFromRow(row);
  }

  async update(trx: Knex.Transaction, id: bigint, change: AccountChange): Promise<Account> {
    const [row] = (await trx('accounts')
      .where({ id: String(id) })
      .update({ ...toColumns(ACCOUNT_FIELDS, change), updated_at: trx.raw(NOW) })
      .returning('*')) as AccountRow[];
    if (row === undefined) throw new Error('an account locked in this transaction is gone');
    return accountFromRow(row);
  }

  async delete(trx: Knex.Transaction, id: bigint): Promise<void> {
    await trx('accounts')
      .where({ id: String(id) })
      .delete();
  }
}

function select(trx: Knex): Knex.QueryBuilder {
  return trx('accounts as a').select('a.*');
}

function named(ref: AccountRef): Condition {
  if (ref.by === 'id') return { sql: 'a.id = ?', bindings: [String(ref.id)] };
  return { sql: 'a.account_number = ?', bindings: [ref.accountNumber] };
}

function whereAccount(query: Knex.QueryBuilder, ref: AccountRef): Knex.QueryBuilder {
  const { sql, bindings } = named(ref);
  return query.whereRaw(sql, bindings);
}

async function one(query: Knex.QueryBuilder): Promise<Account | undefined> {
  const [row] = (await query) as AccountRow[];
  return row && accountFromRow(row);
}

function accountFromRow(row: AccountRow): Account {
  return {
    id: row.id,
    accountNumber: row.account_number,
    ...fromColumns(ACCOUNT_FIELDS, row),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    rowVersion: row.row_version,
  };
}
