import { joinOwner, OWNER_COLUMNS, ownerFromRow, type OwnerRow } from '../authz/owner-rows.js';
import { accessTo, type CallerRights } from '../authz/rights.js';
import type { Database } from '../db/knex.js';

/** NamedToken is what a token is called, and whose it is. */
export interface NamedToken {
  readonly id: bigint;
  readonly name: string;
  readonly keyId: string;
  readonly username: string;
  readonly accountNumber: string;
}

type NamedRow = OwnerRow & { readonly id: bigint; readonly name: string; readonly key_id: string };

/** TokenNames tells what the tokens with some numbers are called, of those that a caller may read. */
export class TokenNames {
  readonly #knex: Database;

  constructor(knex: Database) {
    this.#knex = knex;
  }

  async readable(callerRights: CallerRights, ids: readonly bigint[]): Promise<NamedToken[]> {
    const query = joinOwner(this.#knex('tokens as t'), 't.user_profile_id')
      .select('t.id', 't.name', 't.key_id', ...OWNER_COLUMNS)
      .whereRaw('t.id = ANY (?::bigint[])', [ids.map(String)]);
    const rows = (await query) as NamedRow[];
    return rows.flatMap((row) => {
      const owner = ownerFromRow(row);
      if (accessTo(callerRights, owner) === 'none') return [];
      const { username, accountNumber } = owner;
      return [{ id: row.id, name: row.name, keyId: row.key_id, username, accountNumber }];
    });
  }
}
