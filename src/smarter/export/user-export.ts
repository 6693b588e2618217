import type { Knex } from 'knex';
import type { Fields } from '../source-rows.js';
import { query } from '../target-store.js';
import { among } from './here.js';
import type { BatchTally } from './export-report.js';
import type { PlatformTransaction } from './platform.js';
import { attemptOrTell, update } from './platform-rows.js';
import type { WrittenRow } from './token-export.js';

/** UserHere is a user of both sides whom Keyward has switched on or off. */
interface UserHere {
  readonly key: string;
  readonly targetId: string;
  readonly username: string;
  readonly isActive: boolean;
  readonly before: Fields;
}

/** readUsersHere reads users who were switched since both sides agreed, in the order of their keys, after one of them. */
export function readUsersHere(
  knex: Knex,
  after: string,
  limit: number,
  only: readonly string[] | undefined,
): Promise<UserHere[]> {
  const asked = among(only, 't.id');
  return query<UserHere>(
    knex,
    `SELECT r.source_key AS key, r.target_id::text AS "targetId", t.username, t.is_active AS "isActive", r.fields AS before
     FROM import_records r JOIN users t ON t.id = r.target_id
     WHERE r.kind = 'user' AND r.source_key > ?
       AND (r.announced IS NOT NULL OR t.is_active IS DISTINCT FROM (r.fields ->> 'is_active')::boolean)
       ${asked.sql}
     ORDER BY r.source_key LIMIT ?`,
    [after, ...asked.bindings, limit],
  );
}

/** exportUsers switches users on and off on the platform. It changes nothing else of them. */
export async function exportUsers(
  trx: PlatformTransaction,
  users: readonly UserHere[],
  tally: BatchTally,
): Promise<WrittenRow[]> {
  const sql = 'SELECT id, is_active FROM auth_user WHERE id IN (?) FOR UPDATE';
  const rows = await trx.query(sql, [users.map(({ key }) => key)]);
  const there = new Map(rows.map(({ id, is_active: isActive }) => [id ?? '', isActive === 't']));
  const written: WrittenRow[] = [];
  for (const { key, targetId, username, isActive, before } of users) {
    const isActiveThere = there.get(key);
    if (isActiveThere === undefined) {
      tally.leaveOut(username, 'gone', 'gone from the platform since both had it: not written');
      continue;
    }
    if (isActiveThere !== isActive) {
      const where = { column: 'id', value: key };
      const isWritten = await attemptOrTell(trx, username, tally, () =>
        update(trx, 'auth_user', { is_active: isActive }, where),
      );
      if (!isWritten) continue;
    }
    tally.outcomes.push(isActiveThere === isActive ? 'unchanged' : 'updated');
    written.push({ key, targetId, fields: { ...before, is_active: isActive } });
  }
  return written;
}
