import type { Knex } from 'knex';
import { prepare } from '../db/prepared.js';
import { credentialsRefused } from '../lib/errors.js';
import type { Caller } from './caller.js';
import type { CallerRights, CallerRightsReader } from './rights.js';
import type { UserRightsReader } from './watcher-rights.js';

interface CallerRightsRow {
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

/** CallerRightsRepository reads who callers are and what their rights follow from, each in one statement. */
export class CallerRightsRepository implements CallerRightsReader, UserRightsReader {
  readonly #fetchCallerRights: (values: unknown[]) => Promise<CallerRightsRow[]>;
  readonly #fetchCallerRightsOfMany: (values: unknown[]) => Promise<CallerRightsRow[]>;
  readonly #fetchCertificateUsers: (values: unknown[]) => Promise<CertificateUserRow[]>;

  constructor(knex: Knex) {
    const first = knex.raw('$1');
    this.#fetchCallerRights = prepare(
      knex,
      'caller_rights',
      selectCallerRights(knex).where('u.id', first).toQuery(),
    );
    this.#fetchCallerRightsOfMany = prepare(
      knex,
      'caller_rights_of_many',
      selectCallerRights(knex).whereRaw('u.id = ANY (?::bigint[])', [first]).toQuery(),
    );
    this.#fetchCertificateUsers = prepare(
      knex,
      'certificate-users',
      'SELECT id, username, is_active FROM users WHERE username = ANY ($1::text[])',
    );
  }

  async of({ userId }: Caller, trx?: Knex.Transaction): Promise<CallerRights> {
    const id = String(userId);
    const rows = trx
      ? ((await selectCallerRights(trx).where('u.id', id)) as CallerRightsRow[])
      : await this.#fetchCallerRights([id]);
    const callerRights = callerRightsFromRows(userId, rows);
    if (callerRights === undefined) throw credentialsRefused();
    return callerRights;
  }

  async ofUsers(userIds: readonly bigint[]): Promise<(CallerRights | undefined)[]> {
    const rows = await this.#fetchCallerRightsOfMany([[...new Set(userIds)].map(String)]);
    const rowsOf = new Map<bigint, CallerRightsRow[]>();
    for (const row of rows) rowsOf.set(row.user_id, [...(rowsOf.get(row.user_id) ?? []), row]);
    return userIds.map((userId) => callerRightsFromRows(userId, rowsOf.get(userId) ?? []));
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

/** selectCallerRights gives a row for each profile of an active user, and one row for a user without any. */
function selectCallerRights(knex: Knex): Knex.QueryBuilder {
  return knex('users as u')
    .leftJoin('user_profiles as p', 'p.user_id', 'u.id')
    .select('u.id as user_id', 'u.is_staff', 'u.is_superuser', 'p.id as profile_id', 'p.account_id')
    .where('u.is_active', true)
    .orderBy('p.id');
}

/** callerRightsFromRows takes the rows of one user; undefined without any. */
function callerRightsFromRows(userId: bigint, rows: readonly CallerRightsRow[]): CallerRights | undefined {
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
