import type { Knex } from 'knex';
import { listPage } from '../../db/list-query.js';
import type { Instant } from '../../lib/instant.js';
import type { Page, PageQuery } from '../../lib/page.js';
import { REFERENCE_COLUMNS } from '../secret-columns.js';
import type { ReferenceSettings, SecretReference } from '../secret.js';

interface ReferenceRow {
  id: bigint;
  kind: string;
  consumer: string;
  created_at: Instant;
}

/** ReferenceRepository is every SQL statement about what uses a secret. To write, the secret must be locked. */
export class ReferenceRepository {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  async list(secretId: bigint, page: PageQuery): Promise<Page<SecretReference>> {
    const query = select(this.#knex, secretId);
    return listPage<SecretReference>(this.#knex, query, REFERENCE_COLUMNS, page, referenceFromRow);
  }

  /** first returns how many references a secret has, and the first `most` of them. */
  async first(
    trx: Knex.Transaction,
    secretId: bigint,
    most: number,
  ): Promise<{ readonly count: number; readonly references: readonly SecretReference[] }> {
    const query = select(trx, secretId)
      .select(trx.raw('count(*) OVER () AS count'))
      .orderBy('r.id')
      .limit(most);
    const rows = (await query) as (ReferenceRow & { count: bigint })[];
    return { count: Number(rows[0]?.count ?? 0), references: rows.map(referenceFromRow) };
  }

  async find(
    trx: Knex.Transaction,
    secretId: bigint,
    { kind, consumer }: ReferenceSettings,
  ): Promise<SecretReference | undefined> {
    const rows = (await select(trx, secretId).where({ kind, consumer })) as ReferenceRow[];
    return rows.map(referenceFromRow)[0];
  }

  async insert(
    trx: Knex.Transaction,
    secretId: bigint,
    { kind, consumer }: ReferenceSettings,
  ): Promise<SecretReference> {
    const [row] = (await trx('secret_references')
      .insert({ secret_id: String(secretId), kind, consumer })
      .returning('*')) as ReferenceRow[];
    if (row === undefined) throw new Error('INSERT ... RETURNING gave no row');
    return referenceFromRow(row);
  }

  async delete(trx: Knex.Transaction, { id }: SecretReference): Promise<void> {
    await trx('secret_references')
      .where({ id: String(id) })
      .delete();
  }
}

function select(knex: Knex, secretId: bigint): Knex.QueryBuilder {
  return knex('secret_references as r').select('r.*').where('r.secret_id', String(secretId));
}

function referenceFromRow(row: ReferenceRow): SecretReference {
  return { id: row.id, kind: row.kind, consumer: row.consumer, createdAt: row.created_at };
}
