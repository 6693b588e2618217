import { execute } from './sql.js';

/** readTables are all columns of all rows of all tables of a database, as text. */
export async function readTables(url: string): Promise<string> {
  const tables = await execute(
    url,
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
     WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
  );
  if (tables.length < 10) throw new Error('there are tables that are not seen');
  const contents: string[] = [];
  for (const { name } of tables) {
    const rows = await execute(url, `SELECT t::text AS row FROM ${String(name)} t`);
    contents.push(...rows.map(({ row }) => String(row)));
  }
  return contents.join('\n');
}
