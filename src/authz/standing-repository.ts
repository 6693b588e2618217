import type { Knex } from 'knex';
import { prepare } from '../db/prepared.js';
import { credentialsRefused } from '../lib/errors.js';
import type { Caller } from './caller.js';
import type { Standing } from './rights.js';
import type { StandingReader } from './standing.js';
import type { Standings } from './watcher-rights.js';

interface StandingRow {
  user_id: bigint;
  is_staff: boolean;
  is_superuser: boolean;
  /** Both null in the one row of a user without a profile. */
  profile_id: bigint | null;
  account_id: bigint | null;
}

interface CertificateUserRow {
  id: bigint;
  username: string;
  is_active: boolean;
}

/** StandingRepository reads who callers are and what their rights follow from, each in one statement. */
export class StandingRepository implements StandingReader, Standings {
  readonly #fetchStanding: (values: unknown[]) => Promise<StandingRow[]>;
  readonly #fetchStandings: (values: unknown[]) => Promise<StandingRow[]>;
  readonly #fetchCertificateUsers: (values: unknown[]) => Promise<CertificateUserRow[]>;

  constructor(knex: Knex) {
    const first = knex.raw('$1');
    this.#fetchStanding = prepare(knex, 'standing', selectStandings(knex).where('u.id', first).toQuery());
    this.#fetchStandings = prepare(
      knex,
      'standings',
      selectStandings(knex).whereRaw('u.id = ANY (?::bigint[])', [first]).toQuery(),
    );
    this.#fetchCertificateUsers = prepare(
      knex,
      'certificate-users',
      'SELECT id, username, is_active FROM users WHERE username = ANY ($1::text[])',
    );
  }

  async of({ userId }: Caller, trx?: Knex.Transaction): Promise<Standing> {
    const id = String(userId);
    const rows = trx
      ? ((await selectStandings(trx).where('u.id', id)) as StandingRow[])
      : await this.#fetchStanding([id]);
    const standing = standingFromRows(userId, rows);
    if (standing === undefined) throw credentialsRefused();
    return standing;
  }

  async ofUsers(userIds: readonly bigint[]): Promise<(Standing | undefined)[]> {
    const rows = await this.#fetchStandings([[...new Set(userIds)].map(String)]);
    const rowsOf = new Map<bigint, StandingRow[]>();
    for (const row of rows) rowsOf.set(row.user_id, [...(rowsOf.get(row.user_id) ?? []), row]);
    return userIds.map((userId) => standingFromRows(userId, rowsOf.get(userId) ?? []));
  }

  /** findCertificateUsers finds the users that client certificates name, switched off or not. */
  async findCertificateUsers(
    usernames: readonly string[],
  ): Promise<Map<string, { readonly userId: bigint; readonly isActive: boolean }>> {
    const rows = await this.#fetchCertificateUsers([usernames]);
    return new Map(
      rows.map(({ id, username, is_active: isActive }) => [username, { userId: id, isActive }] as const),
    );
  }
}

/** selectStandings gives a row for each profile of an active user, and one row for a user without any. */
function selectStandings(knex: Knex): Knex.QueryBuilder {
  return knex('users as u')
    .leftJoin('user_profiles as p', 'p.user_id', 'u.id')
    .select('u.id as user_id', 'u.is_staff', 'u.is_superuser', 'p.id as profile_id', 'p.account_id')
    .where('u.is_active', true)
    .orderBy('p.id');
}

/** standingFromRows takes the rows of one user; undefined without any. */
function standingFromRows(userId: bigint, rows: readonly StandingRow[]): Standing | undefined {
  const [user] = rows;
  return (
    user && {
      userId,
      isStaff: user.is_staff,
      isSuperuser: user.is_superuser,
      profiles: rows.flatMap(({ profile_id: profileId, account_id: accountId }) =>
        profileId === null || accountId === null ? [] : [{ id: profileId, accountId }],
      ),
    }
  );
}
