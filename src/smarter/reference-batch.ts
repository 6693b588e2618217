import type { Knex } from 'knex';
import { OPERATOR, type AuditLog } from '../audit/audit-log.js';
import { SECRET_REFERENCES, TOKEN_REFERENCES, type ReferenceTable } from '../db/reference-repository.js';
import { inTransaction } from '../db/transaction.js';
import type { ReferenceCounts } from './report.js';
import { readReferences, type SourceReference, type UsedKind } from './source-references.js';
import type { Source } from './source.js';
import { SECRETS, TOKENS, type TargetTable } from './target-tables.js';
import { query } from './target-store.js';

export interface ReferenceImportOptions {
  readonly source: Source;
  readonly target: Knex;
  /** A transaction that nothing is ever committed of: it holds what was seen, and in a dry run all that is done. */
  readonly holder: Knex.Transaction;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly dryRun: boolean;
  readonly batchSize: number;
}

const USED: Readonly<
  Record<UsedKind, { readonly references: ReferenceTable; readonly resources: TargetTable }>
> = {
  token: { references: TOKEN_REFERENCES, resources: TOKENS },
  secret: { references: SECRET_REFERENCES, resources: SECRETS },
};

/** Most references that are removed in one transaction. */
const REMOVED_AT_ONCE = 1000;

/**
 * importReferences records who uses the tokens and secrets that were taken over, by the source's foreign keys, and
 * removes what an earlier import recorded and the source has no more. What callers attached stays.
 */
export async function importReferences(options: ReferenceImportOptions): Promise<ReferenceCounts> {
  const counts: ReferenceCounts = { read: 0, added: 0, removed: 0, leftOut: 0 };
  await options.holder.raw(
    'CREATE TEMPORARY TABLE references_seen (used_id bigint, kind text, consumer text) ON COMMIT DROP',
  );
  for (const used of ['token', 'secret'] as const) {
    for await (const batch of readReferences(options.source, used, options.batchSize)) {
      const { added, found } = await add(options, used, batch);
      counts.read += batch.length;
      counts.added += added;
      counts.leftOut += batch.length - found;
    }
    counts.removed += await removeVanished(options, used);
    await options.holder.raw('TRUNCATE references_seen');
  }
  return counts;
}

async function add(
  options: ReferenceImportOptions,
  used: UsedKind,
  batch: readonly SourceReference[],
): Promise<{ added: number; found: number }> {
  const { holder } = options;
  const { references, resources } = USED[used];
  const rows = JSON.stringify(batch);
  const added = await writing(options, used, 'references_added', async (trx) => {
    const found = `
      SELECT t.id, b.kind, b.consumer
      FROM json_to_recordset(?::json) AS b (key text, kind text, consumer text)
      JOIN import_records r ON r.kind = ? AND r.source_key = b.key
      JOIN ${resources.table} t ON t.id = r.target_id AND ${resources.present}`;
    const { rowCount } = await trx.raw<{ rowCount: number }>(
      `WITH found AS MATERIALIZED (${found} FOR SHARE OF t)
       INSERT INTO ${references.table} (${references.used}, kind, consumer, is_attached, is_imported)
       SELECT DISTINCT id, kind, consumer, false, true FROM found
       ON CONFLICT (${references.used}, kind, consumer) DO UPDATE SET is_imported = true
       WHERE NOT ${references.table}.is_imported`,
      [rows, used],
    );
    return rowCount;
  });
  const { rowCount: found } = await holder.raw<{ rowCount: number }>(
    `INSERT INTO references_seen
     SELECT t.id, b.kind, b.consumer
     FROM json_to_recordset(?::json) AS b (key text, kind text, consumer text)
     JOIN import_records r ON r.kind = ? AND r.source_key = b.key
     JOIN ${resources.table} t ON t.id = r.target_id AND ${resources.present}`,
    [rows, used],
  );
  return { added, found };
}

async function removeVanished(options: ReferenceImportOptions, used: UsedKind): Promise<number> {
  const { references, resources } = USED[used];
  const { table, used: column } = references;
  let removed = 0;
  for (;;) {
    const vanished = await query<{ id: bigint }>(
      options.holder,
      `SELECT r.id FROM ${table} r JOIN ${resources.table} t ON t.id = r.${column} AND ${resources.present}
       WHERE r.is_imported AND NOT EXISTS (
         SELECT FROM references_seen s
         WHERE s.used_id = r.${column} AND s.kind = r.kind AND s.consumer = r.consumer)
       ORDER BY r.id LIMIT ${REMOVED_AT_ONCE}`,
    );
    if (vanished.length === 0) return removed;
    const ids = vanished.map(({ id }) => String(id));
    removed += await writing(options, used, 'references_removed', async (trx) => {
      await trx.raw(`DELETE FROM ${table} WHERE id = ANY (?::bigint[]) AND NOT is_attached`, [ids]);
      await trx.raw(`UPDATE ${table} SET is_imported = false WHERE id = ANY (?::bigint[])`, [ids]);
      return ids.length;
    });
  }
}

/** writing changes references in one transaction with the record of how many. */
function writing(
  { target, holder, audit, dryRun }: ReferenceImportOptions,
  kind: UsedKind,
  what: string,
  write: (trx: Knex.Transaction) => Promise<number>,
): Promise<number> {
  const work = async (trx: Knex.Transaction): Promise<number> => {
    const count = await write(trx);
    if (count > 0) {
      const entry = {
        actor: OPERATOR,
        action: 'DATA_IMPORTED',
        outcome: 'OK',
        resource: { kind, id: null },
      } as const;
      await audit.record(trx, [{ ...entry, detail: { [what]: String(count) } }]);
    }
    return count;
  };
  return dryRun ? holder.transaction(work) : inTransaction(target, work);
}
