import type { Knex } from 'knex';
import { prepare } from '../db/prepared.js';
import { credentialsRefused } from '../lib/errors.js';
import type { Caller } from './caller.js';
import type { Standing } from './rights.js';
import type { StandingReader } from './standing.js';

interface StandingRow {
  is_staff: boolean;
  is_superuser: boolean;
  /** Both null in the one row of a user without a profile. */
  profile_id: bigint | null;
  account_id: bigint | null;
}

interface CertificateUserRow {
  id: bigint;
  is_active: boolean;
}

/** StandingRepository reads who callers are and what their rights follow from, each in one statement. */
export class StandingRepository implements StandingReader {
  readonly #fetchStanding: (values: unknown[]) => Promise<StandingRow[]>;
  readonly #fetchCertificateUser: (values: unknown[]) => Promise<CertificateUserRow[]>;

  constructor(knex: Knex) {
    const first = knex.raw('$1');
    this.#fetchStanding = prepare(knex, 'standing', selectStanding(knex, first).toQuery());
    this.#fetchCertificateUser = prepare(
      knex,
      'certificate-user',
      knex('users').select('id', 'is_active').where('username', first).toQuery(),
    );
  }

  async of({ userId }: Caller, trx?: Knex.Transaction): Promise<Standing> {
    const id = String(userId);
    const rows = trx ? ((await selectStanding(trx, id)) as StandingRow[]) : await this.#fetchStanding([id]);
    const [user] = rows;
    if (user === undefined) throw credentialsRefused();
    return {
      userId,
      isStaff: user.is_staff,
      isSuperuser: user.is_superuser,
      profiles: rows.flatMap(({ profile_id: profileId, account_id: accountId }) =>
        profileId === null || accountId === null ? [] : [{ id: profileId, accountId }],
      ),
    };
  }

  /** findCertificateUser finds the user that a client certificate names, switched off or not. */
  async findCertificateUser(
    username: string,
  ): Promise<{ readonly userId: bigint; readonly isActive: boolean } | undefined> {
    const [row] = await this.#fetchCertificateUser([username]);
    return row && { userId: row.id, isActive: row.is_active };
  }
}

/** selectStanding gives a row for each profile of an active user, and one row for a user without any. */
function selectStanding(knex: Knex, userId: Knex.Value): Knex.QueryBuilder {
  return knex('users as u')
    .leftJoin('user_profiles as p', 'p.user_id', 'u.id')
    .select('u.is_staff', 'u.is_superuser', 'p.id as profile_id', 'p.account_id')
    .where('u.id', userId)
    .where('u.is_active', true)
    .orderBy('p.id');
}
