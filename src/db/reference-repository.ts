import type { Knex } from 'knex';
import { parsePgTimestamp, type Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import {
  NO_CONSUMERS,
  TOLD_CONSUMERS,
  type Consumers,
  type Reference,
  type ReferenceSettings,
} from '../lib/references.js';
import { listPage, type ListColumns } from './list-query.js';
import { reading } from './transaction.js';

/** ReferenceTable is where the references of one kind of resources are kept, and the column that names what is used. */
export type ReferenceTable =
  | { readonly table: 'token_references'; readonly used: 'token_id' }
  | { readonly table: 'secret_references'; readonly used: 'secret_id' };

export const TOKEN_REFERENCES: ReferenceTable = { table: 'token_references', used: 'token_id' };
export const SECRET_REFERENCES: ReferenceTable = { table: 'secret_references', used: 'secret_id' };

/** REFERENCE_COLUMNS are what lists of references can filter and order by. */
export const REFERENCE_COLUMNS: ListColumns = {
  filter: {
    kind: { type: 'text', sql: 'r.kind' },
    consumer: { type: 'text', sql: 'r.consumer' },
    created_at: { type: 'time', sql: 'r.created_at' },
  },
  order: {
    id: { type: 'integer', sql: 'r.id' },
    kind: { type: 'text', sql: 'r.kind' },
    consumer: { type: 'text', sql: 'r.consumer' },
    created_at: { type: 'time', sql: 'r.created_at' },
  },
};

interface ReferenceRow {
  id: bigint;
  used_id: bigint;
  kind: string;
  consumer: string;
  created_at: Instant;
}

/** ConsumersJson is what `consumersOf` selects; null if there are none. */
export type ConsumersJson =
  readonly { id: string; kind: string; consumer: string; created_at: string; count: number }[] | null;

/** consumersOf is the SQL of the consumers of what a column names. */
export function consumersOf({ table, used }: ReferenceTable, column: string): string {
  return `(SELECT json_agg(first.*) FROM (
    SELECT r.id::text, r.kind, r.consumer, r.created_at::text, count(*) OVER ()::int AS count
    FROM ${table} r WHERE r.${used} = ${column} ORDER BY r.id LIMIT ${TOLD_CONSUMERS}) first)`;
}

export function consumersFromJson(usedId: bigint, rows: ConsumersJson): Consumers {
  const [first] = rows ?? [];
  if (rows === null || first === undefined) return NO_CONSUMERS;
  const references = rows.map(({ id, kind, consumer, created_at }) => ({
    id: BigInt(id),
    usedId,
    kind,
    consumer,
    createdAt: parsePgTimestamp(created_at),
  }));
  return { references, count: first.count };
}

/** ReferenceRepository is every SQL statement about what uses some resources. To write, the one that is used must be locked. */
export class ReferenceRepository {
  readonly #knex: Knex;
  readonly #table: string;
  readonly #used: string;

  constructor(knex: Knex, { table, used }: ReferenceTable) {
    this.#knex = knex;
    this.#table = table;
    this.#used = used;
  }

  async list(usedId: bigint, page: PageQuery): Promise<Page<Reference>> {
    const query = this.#select(this.#knex, usedId);
    return listPage<Reference>(this.#knex, query, REFERENCE_COLUMNS, page, referenceFromRow);
  }

  /** consumersOf are the consumers of one resource. */
  async consumersOf(usedId: bigint, trx?: Knex.Transaction): Promise<Consumers> {
    return (await this.consumersOfEach([usedId], trx)).get(usedId) ?? NO_CONSUMERS;
  }

  /** consumersOfEach are the consumers of those of some resources that have any. */
  async consumersOfEach(
    usedIds: readonly bigint[],
    trx: Knex = this.#knex,
  ): Promise<ReadonlyMap<bigint, Consumers>> {
    const consumers = new Map<bigint, Consumers>();
    if (usedIds.length === 0) return consumers;
    const { rows } = await trx.raw<{ rows: (ReferenceRow & { count: bigint })[] }>(
      `SELECT first.* FROM unnest(?::bigint[]) AS used (id), LATERAL (
         SELECT r.*, r.${this.#used} AS used_id, count(*) OVER () AS count
         FROM ${this.#table} r WHERE r.${this.#used} = used.id ORDER BY r.id LIMIT ${TOLD_CONSUMERS}) first
       ORDER BY first.id`,
      [usedIds.map(String)],
    );
    for (const row of rows) {
      const { references } = consumers.get(row.used_id) ?? NO_CONSUMERS;
      const count = Number(row.count);
      consumers.set(row.used_id, { references: [...references, referenceFromRow(row)], count });
    }
    return consumers;
  }

  async find(
    trx: Knex.Transaction,
    usedId: bigint,
    { kind, consumer }: ReferenceSettings,
  ): Promise<Reference | undefined> {
    const rows = (await this.#select(trx, usedId).where({ kind, consumer })) as ReferenceRow[];
    return rows.map(referenceFromRow)[0];
  }

  /** attach records a use that a caller tells of; one that an import brought stays when the import has it no more. */
  async attach(
    trx: Knex.Transaction,
    usedId: bigint,
    { kind, consumer }: ReferenceSettings,
  ): Promise<Reference> {
    const { rows } = await trx.raw<{ rows: ReferenceRow[] }>(
      `INSERT INTO ${this.#table} (${this.#used}, kind, consumer) VALUES (?, ?, ?)
       ON CONFLICT (${this.#used}, kind, consumer) DO UPDATE SET is_attached = true
       RETURNING *, ${this.#used} AS used_id`,
      [String(usedId), kind, consumer],
    );
    const [row] = rows;
    if (row === undefined) throw new Error('INSERT ... RETURNING gave no row');
    return referenceFromRow(row);
  }

  async delete(trx: Knex.Transaction, { id }: Reference): Promise<void> {
    await trx(this.#table)
      .where({ id: String(id) })
      .delete();
  }

  #select(knex: Knex, usedId: bigint): Knex.QueryBuilder {
    return knex(`${this.#table} as r`)
      .select('r.*', `r.${this.#used} as used_id`)
      .where(`r.${this.#used}`, String(usedId));
  }
}

function referenceFromRow(row: ReferenceRow): Reference {
  return {
    id: row.id,
    usedId: row.used_id,
    kind: row.kind,
    consumer: row.consumer,
    createdAt: row.created_at,
  };
}

/** As long as the change feed may tell that a token went, and an hour more for those who read it late. */
const RELEASED_KEPT = "interval '25 hours'";
/** Tokens. */
const PRUNED_AT_ONCE = 100;

/** ReleasedReferences are the references of tokens that went. They are kept for as long as watches may tell of that. */
export class ReleasedReferences {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /** prune removes those that were kept long enough; several may do so at once. */
  async prune(): Promise<void> {
    await reading(async () => {
      let pruned: number;
      do pruned = await this.#prune();
      while (pruned === PRUNED_AT_ONCE);
    });
  }

  async #prune(): Promise<number> {
    const { rowCount } = await this.#knex.raw<{ rowCount: number }>(
      `WITH old AS MATERIALIZED (
         SELECT token_id FROM released_tokens WHERE released_at < statement_timestamp() - ${RELEASED_KEPT}
         ORDER BY released_at LIMIT ${PRUNED_AT_ONCE}
       ), pruned AS (DELETE FROM token_references r USING old WHERE r.token_id = old.token_id)
       DELETE FROM released_tokens released USING old WHERE released.token_id = old.token_id`,
    );
    return rowCount;
  }
}
