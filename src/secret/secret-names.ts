import { joinOwner, OWNER_COLUMNS, ownerFromRow, type OwnerRow } from '../authz/owner-rows.js';
import type { CallerRights } from '../authz/rights.js';
import type { Database } from '../db/knex.js';
import type { Clock } from '../lib/clock.js';
import { presentOf } from '../lib/instant.js';
import { accessToSecret } from './secret.js';
import type { GrantRepository } from './sharing/grant-repository.js';

/** NamedSecret is what a secret is called, and whose it is. */
export interface NamedSecret {
  readonly id: bigint;
  readonly name: string;
  readonly username: string;
  readonly accountNumber: string;
  readonly isDeleted: boolean;
}

export interface SecretNamesDependencies {
  readonly knex: Database;
  readonly grants: Pick<GrantRepository, 'secretsGrantedTo'>;
  readonly clock: Clock;
}

type NamedRow = OwnerRow & { readonly id: bigint; readonly name: string; readonly is_deleted: boolean };

/** SecretNames tells what the secrets with some numbers are called, of those that a caller may read. */
export class SecretNames {
  readonly #deps: SecretNamesDependencies;

  constructor(deps: SecretNamesDependencies) {
    this.#deps = deps;
  }

  /** readable finds deleted ones too, for those who manage them. */
  async readable(callerRights: CallerRights, ids: readonly bigint[]): Promise<NamedSecret[]> {
    const { knex, grants, clock } = this.#deps;
    const query = joinOwner(knex('secrets as s'), 's.user_profile_id')
      .select('s.id', 's.name', ...OWNER_COLUMNS, knex.raw('s.deleted_at IS NOT NULL AS is_deleted'))
      .whereRaw('s.id = ANY (?::bigint[])', [ids.map(String)]);
    const rows = (await query) as NamedRow[];
    const profileIds = callerRights.profiles.map(({ id }) => id);
    const granted = await grants.secretsGrantedTo(profileIds, ids, presentOf(clock));
    return rows.flatMap(({ id, name, is_deleted: isDeleted, ...row }) => {
      const owner = ownerFromRow(row);
      const access = accessToSecret(callerRights, owner, granted.has(id));
      const isVisible = isDeleted ? access === 'manage' : access !== 'none';
      const { username, accountNumber } = owner;
      return isVisible ? [{ id, name, username, accountNumber, isDeleted }] : [];
    });
  }
}
