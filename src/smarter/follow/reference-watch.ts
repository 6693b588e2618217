import type { Source } from '../source.js';

/** referenceSums add up, for each table of the source that refers to keys or secrets, its rows. */
export async function referenceSums(source: Source): Promise<string> {
  const foreignKeys = [
    ...(await source.foreignKeysTo('drf_smarterauthtoken')),
    ...(await source.foreignKeysTo('secret_secret')),
  ];
  const tables = [...new Set(foreignKeys.map(({ table }) => table))];
  const sums: string[] = [];
  for (const table of tables) {
    const stamp = source.stamp('row_', await source.columns(table));
    const sql = `SELECT COUNT(*) AS rows_, SUM(${stamp}) AS stamps FROM ${source.named(table)} row_`;
    const [sum] = await source.few(sql);
    sums.push(`${table} ${sum?.['rows_']} ${sum?.['stamps']}`);
  }
  return sums.join();
}
