import { joinOwner, OWNER_COLUMNS, ownerFromRow, selectOwner, type OwnerRow } from '../authz/owner-rows.js';
import type { Owner } from '../authz/owner.js';
import type { Database } from '../db/knex.js';

/** Named is a resource by its number, and what it is called. */
export interface Named {
  readonly id: bigint;
  readonly name: string;
  readonly accountNumber: string;
  /** Of an account nobody's. */
  readonly username: string;
  readonly keyId?: string;
  readonly isDeleted?: boolean;
}

/** OwnedResource is one that a user profile owns. */
interface OwnedResource extends Named {
  readonly owner: Owner;
}

interface OwnedRow extends OwnerRow {
  id: bigint;
  name: string;
  key_id?: string;
  is_deleted?: boolean;
}

const WITH_ID = (table: string): string => `${table}.id = ANY (?::bigint[])`;

/** IdRepository tells what numbers stand for, without all that large rows hold besides. */
export class IdRepository {
  readonly #knex: Database;

  constructor(knex: Database) {
    this.#knex = knex;
  }

  async tokens(ids: readonly bigint[]): Promise<OwnedResource[]> {
    const query = joinOwner(this.#knex('tokens as t'), 't.user_profile_id')
      .select('t.id', 't.name', 't.key_id', ...OWNER_COLUMNS)
      .whereRaw(WITH_ID('t'), [ids.map(String)]);
    return ((await query) as OwnedRow[]).map(ownedFromRow);
  }

  /** secrets finds deleted ones too. */
  async secrets(ids: readonly bigint[]): Promise<OwnedResource[]> {
    const query = joinOwner(this.#knex('secrets as s'), 's.user_profile_id')
      .select('s.id', 's.name', ...OWNER_COLUMNS)
      .select(this.#knex.raw('s.deleted_at IS NOT NULL AS is_deleted'))
      .whereRaw(WITH_ID('s'), [ids.map(String)]);
    return ((await query) as OwnedRow[]).map(ownedFromRow);
  }

  async accounts(ids: readonly bigint[]): Promise<Named[]> {
    const rows = (await this.#knex('accounts as a')
      .select('a.id', 'a.name', 'a.account_number')
      .whereRaw(WITH_ID('a'), [ids.map(String)])) as Pick<OwnedRow, 'id' | 'name' | 'account_number'>[];
    return rows.map(({ id, name, account_number: accountNumber }) => ({
      id,
      name,
      accountNumber,
      username: '',
    }));
  }

  async profiles(ids: readonly bigint[]): Promise<Named[]> {
    const query = selectOwner(this.#knex)
      .select('p.id', 'p.name')
      .whereRaw(WITH_ID('p'), [ids.map(String)]);
    return ((await query) as OwnedRow[]).map(ownedFromRow);
  }
}

function ownedFromRow(row: OwnedRow): OwnedResource {
  const owner = ownerFromRow(row);
  const { username, accountNumber } = owner;
  const { key_id: keyId, is_deleted: isDeleted } = row;
  return {
    id: row.id,
    name: row.name,
    username,
    accountNumber,
    owner,
    ...(keyId === undefined ? {} : { keyId }),
    ...(isDeleted === undefined ? {} : { isDeleted }),
  };
}
