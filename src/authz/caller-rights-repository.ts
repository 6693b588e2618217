import type { Knex } from 'knex';
import { prepare } from '../db/prepared.js';
import { credentialsRefused } from '../lib/errors.js';
import type { Caller } from './caller.js';
import { CALLER_COLUMNS, callerRightsFromRow, callers, type CallerRow } from './caller-rows.js';
import type { CallerRights, CallerRightsReader } from './rights.js';
import type { UserRightsReader } from './watcher-rights.js';

interface CallerRightsRow extends CallerRow {
  id: bigint;
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
    this.#fetchCallerRights = prepare(knex, 'caller_rights', selectCallers('u.id = $1'));
    this.#fetchCallerRightsOfMany = prepare(
      knex,
      'caller_rights_of_many',
      selectCallers('u.id = ANY ($1::bigint[])'),
    );
    this.#fetchCertificateUsers = prepare(
      knex,
      'certificate-users',
      'SELECT id, username, is_active FROM users WHERE username = ANY ($1::text[])',
    );
  }

  async of({ userId }: Caller, trx?: Knex.Transaction): Promise<CallerRights> {
    const id = String(userId);
    const [row] = trx
      ? (await trx.raw<{ rows: CallerRightsRow[] }>(selectCallers('u.id = ?'), [id])).rows
      : await this.#fetchCallerRights([id]);
    if (row === undefined) throw credentialsRefused();
    return callerRightsFromRow(userId, row);
  }

  async ofUsers(userIds: readonly bigint[]): Promise<(CallerRights | undefined)[]> {
    const rows = await this.#fetchCallerRightsOfMany([[...new Set(userIds)].map(String)]);
    const rightsOf = new Map(rows.map((row) => [row.id, callerRightsFromRow(row.id, row)]));
    return userIds.map((userId) => rightsOf.get(userId));
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

function selectCallers(condition: string): string {
  return `SELECT c.id, ${CALLER_COLUMNS} FROM (${callers(condition)}) c`;
}
