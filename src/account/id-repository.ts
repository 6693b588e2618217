import { selectOwner } from '../authz/owner-rows.js';
import type { Database } from '../db/knex.js';

/** Named is a resource by its number, and what it is called. */
export interface Named {
  readonly id: bigint;
  readonly name: string;
  /** Whose it is, or of a user profile who; empty for an account. */
  readonly username: string;
  readonly accountNumber: string;
  /** Of tokens alone. */
  readonly keyId?: string;
  /** Of secrets alone. */
  readonly isDeleted?: boolean;
}

interface ProfileRow {
  id: bigint;
  name: string;
  username: string;
  account_number: string;
}

/** IdRepository tells what accounts and user profiles are called, without all that large rows hold besides. */
export class IdRepository {
  readonly #knex: Database;

  constructor(knex: Database) {
    this.#knex = knex;
  }

  async accounts(ids: readonly bigint[]): Promise<Named[]> {
    const rows = await this.#knex('accounts as a')
      .select<{ id: bigint; name: string; account_number: string }[]>('a.id', 'a.name', 'a.account_number')
      .whereRaw('a.id = ANY (?::bigint[])', [ids.map(String)]);
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
      .whereRaw('p.id = ANY (?::bigint[])', [ids.map(String)]);
    const rows = (await query) as ProfileRow[];
    return rows.map(({ id, name, username, account_number: accountNumber }) => ({
      id,
      name,
      username,
      accountNumber,
    }));
  }
}
