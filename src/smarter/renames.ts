import type { Knex } from 'knex';
import { applyChanges, sortBatch } from './batch.js';
import { takeKeys } from './owner-batch.js';
import type { BatchReport } from './report.js';
import type { SeenRow } from './source-keys.js';
import { textField, type SourceRow } from './source-rows.js';
import { TARGET_TABLES } from './target-tables.js';
import type { Tools } from './tools.js';

/** The kinds whose rows have names that no other may have, in the order in which they are taken over. */
export type NamedKind = 'account' | 'user' | 'token' | 'secret';

/**
 * renameRows renames rows that are in each other's way, all in one transaction: of a chain or a circle of them each gets
 * its name, and nobody sees one without.
 */
export async function renameRows(
  trx: Knex.Transaction,
  kind: NamedKind,
  { conflicts, promotions, tokenNames, secretNames }: Tools,
  seen: readonly SeenRow[],
  report: BatchReport,
): Promise<void> {
  const table = TARGET_TABLES[kind];
  const { changes } = await sortBatch(trx, table, seen.map(asRow), report);
  await conflicts.settle(trx, table, changes, report);
  const apply = (): Promise<void> => applyChanges(trx, table, changes, report);
  if (kind === 'token') {
    await tokenNames.settle(trx, changes, report);
    const moved = changes.filter(({ changed }) => changed.has('user_profile_id'));
    await promotions.changeTokens(
      trx,
      moved.map(({ targetId }) => targetId),
      report,
      apply,
    );
  } else if (kind === 'secret') {
    await secretNames.settle(trx, changes, report);
    await apply();
  } else {
    await takeKeys(trx, table, changes, report);
    await apply();
  }
}

function asRow({ key, fields }: SeenRow): SourceRow {
  const label = textField(fields, 'username') || textField(fields, 'account_number') || key;
  return { key, label, fields, leftOut: undefined, findings: [] };
}
