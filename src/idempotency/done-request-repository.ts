import type { Database, Transaction } from '../db/knex.js';
import { reading } from '../db/transaction.js';
import { KeywardError, requestAlreadyDone, requestIdReused } from '../lib/errors.js';
import { recordLocator } from '../lib/public-id.js';
import type { Caller } from '../authz/caller.js';
import type { DoneRequests, Resource } from './done-requests.js';

interface DoneRow {
  readonly method: string;
  readonly resource_kind: Resource['kind'];
  readonly resource_id: bigint;
  readonly version: number | null;
}

/** How long a call is remembered. */
const KEPT = "interval '24 hours'";
const PRUNED_AT_ONCE = 10_000;

/** DoneRequestRepository is every statement about the calls that can be told from those that were sent again. */
export class DoneRequestRepository implements DoneRequests {
  readonly #knex: Database;

  constructor(knex: Database) {
    this.#knex = knex;
  }

  async claim(trx: Transaction, { userId, repeatable }: Caller): Promise<void> {
    if (repeatable === undefined) return;
    const { method, requestId } = repeatable;
    const { rowCount } = await trx.raw<{ rowCount: number }>(
      `INSERT INTO done_requests (user_id, request_id, method) VALUES (?, ?, ?)
       ON CONFLICT (user_id, request_id) DO NOTHING`,
      [String(userId), requestId, method],
    );
    if (rowCount > 0) return;
    const { rows } = await trx.raw<{ rows: DoneRow[] }>(
      'SELECT method, resource_kind, resource_id, version FROM done_requests WHERE user_id = ? AND request_id = ?',
      [String(userId), requestId],
    );
    const [row] = rows;
    // It was deleted between the two statements, being old enough.
    if (row === undefined) throw new KeywardError('CONFLICT', 'The request id has just been forgotten.');
    if (row.method !== method) throw requestIdReused();
    throw alreadyDone(row);
  }

  async done(trx: Transaction, { userId, repeatable }: Caller, resource: Resource): Promise<void> {
    if (repeatable === undefined) return;
    await trx.raw(
      `UPDATE done_requests SET resource_kind = ?, resource_id = ?, version = ?
       WHERE user_id = ? AND request_id = ?`,
      [resource.kind, String(resource.id), resource.version ?? null, String(userId), repeatable.requestId],
    );
  }

  /** prune forgets the calls that are remembered long enough; several may do so at once. */
  async prune(): Promise<void> {
    await reading(async () => {
      let pruned: number;
      do pruned = await this.#prune();
      while (pruned === PRUNED_AT_ONCE);
    });
  }

  async #prune(): Promise<number> {
    const { rowCount } = await this.#knex.raw<{ rowCount: number }>(
      `DELETE FROM done_requests WHERE (user_id, request_id) IN (
         SELECT user_id, request_id FROM done_requests
         WHERE created_at < statement_timestamp() - ${KEPT} ORDER BY created_at LIMIT ${PRUNED_AT_ONCE})`,
    );
    return rowCount;
  }
}

function alreadyDone({ resource_kind: kind, resource_id: id, version }: DoneRow): KeywardError {
  const locator =
    kind === 'user' ? undefined : recordLocator(kind === 'user_profile' ? 'userprofile' : kind, id);
  return requestAlreadyDone(kind, id, locator, version ?? undefined);
}
